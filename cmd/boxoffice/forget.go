package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/spf13/cobra"

	"boxoffice/cmd/internal/config"
	"boxoffice/cmd/internal/serve"
	"boxoffice/eventstore"
)

// maxCustomer is how many bytes a customer's id may have; longer ones are never accepted with an order.
const maxCustomer = 1024

func (c *cli) forget() *cobra.Command {
	var asJSON, yes bool
	cmd := &cobra.Command{
		Use:   "forget CUSTOMER",
		Short: "Blank what names a customer",
		Long: `Blanks id, e-mail address and name of the customer with this id in all orders, and the gateways' deliveries
that name the customer. The log knows customers by a keyed hash only and stays as it is, and so do orders and
money. This can't be undone. It reads all contacts and deliveries, up to the end of the log as it is now, and
may be repeated.

What it can't reach: backups, the gateway's own books, and commands-topic, which keeps the messages of clients
that order through Kafka for 7 days, unless its operator has told it otherwise.`,
		Example: `  boxoffice forget USER_TESTING
  boxoffice forget USER_TESTING --yes --json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if args[0] == "" || len(args[0]) > maxCustomer {
				c.started = false
				return fmt.Errorf("CUSTOMER must have 1 to %d bytes", maxCustomer)
			}
			tools, err := c.tools(cmd, config.NeedDatabase)
			if err != nil {
				return err
			}
			db, err := openDatabase(cmd.Context(), tools.DatabaseURL)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, db.Close()) }()
			return c.forgetCustomer(cmd.Context(), db, args[0], yes, asJSON)
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do it without asking; needed where nobody can be asked")
	cmd.Flags().BoolVar(&asJSON, "json", false, "say as JSON what was blanked")
	c.toolFlags(cmd, "DATABASE_URL")
	return cmd
}

func (c *cli) forgetCustomer(ctx context.Context, db *sqlx.DB, id string, yes, asJSON bool) error {
	store := eventstore.New(db, eventstore.Config{})
	key, err := store.CustomerKey(ctx)
	if err != nil {
		return err
	}
	ref := serve.CustomerRef(key, id)
	traces, err := store.Trace(ctx, id, ref, c.looking())
	if err != nil {
		return err
	}
	found := len(traces.Contacts) + traces.Deliveries()
	if found > 0 && !yes {
		question := fmt.Sprintf("Blank this customer in %d orders and %d deliveries, for ever?", len(traces.Contacts), traces.Deliveries())
		if err := c.confirm(ctx, question); err != nil {
			return err
		}
	}
	if err := store.Forget(ctx, traces); err != nil {
		return fmt.Errorf("%w; what is blanked stays so, run it again", err)
	}
	if asJSON {
		return written(json.NewEncoder(c.stdout).Encode(struct {
			CustomerRef string `json:"customerRef"`
			Orders      int    `json:"orders"`
			Deliveries  int    `json:"deliveries"`
		}{ref, len(traces.Contacts), traces.Deliveries()}))
	}
	if found == 0 {
		_, err = fmt.Fprintln(c.stdout, "Nothing names this customer.")
		return written(err)
	}
	_, err = fmt.Fprintf(c.stdout, "Blanked %d orders and %d deliveries of %s.\n", len(traces.Contacts), traces.Deliveries(), ref)
	return written(err)
}

// looking says now and then how far a long look through the tables is.
func (c *cli) looking() func(position, head int64) {
	last := time.Now()
	return func(position, head int64) {
		if time.Since(last) < lineEvery {
			return
		}
		last = time.Now()
		c.say("looked through positions up to %d of %d", position, head)
	}
}
