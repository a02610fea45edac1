package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"github.com/spf13/cobra"

	"boxoffice"
	"boxoffice/cmd/internal/config"
	"boxoffice/eventstore"
)

func (c *cli) migrate() *cobra.Command {
	var grantTo string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Bring the database to this version's schema",
		Long: `Applies this version's schema, which changes by addition only, so it may be repeated and run beside a
service of this or the last version. It uses MIGRATE_DATABASE_URL where that is set, else DATABASE_URL.

Where the two name different roles, the role of DATABASE_URL gets what the service needs and no more: on the
log it may INSERT and SELECT. The role must exist.`,
		Example: `  boxoffice migrate
  MIGRATE_DATABASE_URL=postgres://owner@db/boxoffice boxoffice migrate
  boxoffice migrate --grant-to boxoffice_service
  boxoffice migrate --data .boxoffice`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			tools, err := c.tools(cmd, config.NeedSchema)
			if err != nil {
				return err
			}
			address := tools.MigrateDatabaseURL
			if address == "" {
				address = tools.DatabaseURL
			}
			if grantTo == "" {
				if grantTo, err = otherRole(tools.DatabaseURL, address); err != nil {
					return err
				}
			}
			db, err := openDatabase(cmd.Context(), address)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, db.Close()) }()
			before, _, err := eventstore.Missing(cmd.Context(), db, boxoffice.Schema())
			if err != nil {
				return err
			}
			if err := c.bringSchema(cmd.Context(), db, hostOf(address), grantTo); err != nil || !asJSON {
				return err
			}
			return written(json.NewEncoder(c.stdout).Encode(migration{hostOf(address), append([]string{}, before...), grantTo}))
		},
	}
	c.toolFlags(cmd, "DATABASE_URL", "MIGRATE_DATABASE_URL")
	cmd.Flags().BoolVar(&asJSON, "json", false, "say as JSON what was added")
	cmd.Flags().StringVar(&grantTo, "grant-to", "", "the service's role (default: that of DATABASE_URL, if it is another)")
	return cmd
}

// migration is what migrate did, as --json prints it.
type migration struct {
	Server    string   `json:"server"`
	Added     []string `json:"added"` // tables and columns
	GrantedTo string   `json:"grantedTo,omitempty"`
}

// bringSchema migrates, and gives a role the rights of the service if one is named.
func (c *cli) bringSchema(ctx context.Context, db *sqlx.DB, host, role string) error {
	if role == "" {
		if err := eventstore.Migrate(ctx, db, boxoffice.Schema()); err != nil {
			return err
		}
		c.say("The schema is up to date at %s.", host)
		return nil
	}
	excess, err := eventstore.MigrateFor(ctx, db, boxoffice.Schema(), eventstore.Service{Role: role, Rights: boxoffice.Rights})
	if err != nil {
		return err
	}
	c.say("The schema is up to date at %s, and the role %s has the rights of the service.", host, role)
	if len(excess) > 0 {
		c.say("Warning: as owner, as superuser, through another role or as everybody, %s may also %s.", role, strings.Join(excess, ", "))
	}
	return nil
}

// otherRole is the role of the service's address, where it is not the one that migrates.
func otherRole(service, migrating config.URL) (string, error) {
	if service == "" || service == migrating {
		return "", nil
	}
	its, err := pq.NewConfig(service.Reveal())
	if err != nil {
		return "", fmt.Errorf("DATABASE_URL: %w", err)
	}
	ours, err := pq.NewConfig(migrating.Reveal())
	if err != nil {
		return "", fmt.Errorf("MIGRATE_DATABASE_URL: %w", err)
	}
	if its.User == ours.User {
		return "", nil
	}
	return its.User, nil
}
