package main

import (
	"errors"

	"github.com/spf13/cobra"

	"boxoffice"
	"boxoffice/cmd/internal/config"
	"boxoffice/eventstore"
)

func (c *cli) migrate() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Bring the database to this version's schema",
		Long: `Applies this version's schema, which changes by addition only, so it may be repeated and run beside a
service of this or the last version. It uses MIGRATE_DATABASE_URL where that is set, else DATABASE_URL.`,
		Example: `  boxoffice migrate
  MIGRATE_DATABASE_URL=postgres://owner@db/boxoffice boxoffice migrate
  boxoffice migrate --data .boxoffice`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			tools, err := c.tools(cmd, config.NeedDatabase)
			if err != nil {
				return err
			}
			address := tools.MigrateDatabaseURL
			if address == "" || c.data != "" {
				address = tools.DatabaseURL
			}
			db, err := openDatabase(cmd.Context(), address)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, db.Close()) }()
			if err := eventstore.Migrate(cmd.Context(), db, boxoffice.Schema()); err != nil {
				return err
			}
			c.say("The schema is up to date at %s.", hostOf(address))
			return nil
		},
	}
	c.toolFlags(cmd, "DATABASE_URL", "MIGRATE_DATABASE_URL")
	return cmd
}
