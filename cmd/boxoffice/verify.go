package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"boxoffice/cmd/internal/config"
	"boxoffice/projections/verify"
)

const progressEvery = 10 * time.Second

func (c *cli) verify() *cobra.Command {
	var kafka, asJSON bool
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Prove the invariants from the log, the read models and the topics",
		Long: `Reads the whole log and checks: positions, versions and times; the hash chain; 0 ≤ held + sold ≤ capacity
after every event; that a hold ends once and every order has its own; that settled money is tickets and
refunds. Then compares the read models, and with --kafka the topics, with what the log says. It may run
beside a service that sells. It prints the head's position and hash: kept elsewhere, they show later
whether the past was changed. Exit 3 if anything differs.`,
		Example: `  boxoffice verify
  boxoffice verify --kafka --data .boxoffice
  boxoffice verify --json | jq .findings`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			needs := []config.Need{config.NeedDatabase}
			if kafka {
				needs = append(needs, config.NeedKafka)
			}
			tools, err := c.tools(cmd, needs...)
			if err != nil {
				return err
			}
			settings := verify.Config{Progress: c.progress()}
			if kafka {
				if settings.Topics, err = topicReader(tools.Kafka); err != nil {
					return err
				}
			}
			db, err := openDatabase(cmd.Context(), tools.DatabaseURL)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, db.Close()) }()
			report, err := verify.Run(cmd.Context(), db, settings)
			if err != nil {
				return err
			}
			return c.tell(report, asJSON)
		},
	}
	cmd.Flags().BoolVar(&kafka, "kafka", false, "compare the topics too")
	cmd.Flags().BoolVar(&asJSON, "json", false, "the report as JSON")
	c.toolFlags(cmd, "DATABASE_URL", "KAFKA_BROKERS")
	return cmd
}

// progress says now and then how far a long reading is.
func (c *cli) progress() func(position, head int64) {
	begun := time.Now()
	last := begun
	return func(position, head int64) {
		now := time.Now()
		if now.Sub(last) < progressEvery {
			return
		}
		last = now
		rate := float64(position) / now.Sub(begun).Seconds()
		left := time.Duration(float64(head-position) / rate * float64(time.Second)).Round(time.Second)
		c.say("%d of %d events, %.0f a second, about %s left", position, head, rate, left)
	}
}

func (c *cli) tell(r verify.Report, asJSON bool) error {
	if asJSON {
		text, err := json.MarshalIndent(r, "", "  ")
		if err != nil {
			return fmt.Errorf("encode the report: %w", err)
		}
		if _, err := c.stdout.Write(append(text, '\n')); err != nil {
			return written(err)
		}
	} else if _, err := io.WriteString(c.stdout, reportText(r)); err != nil {
		return written(err)
	}
	if r.Topics != nil && r.Topics.Foreign > 0 {
		c.say("boxoffice verify: warning: %d messages on the event topics are no events of the log, and are passed over", r.Topics.Foreign)
		for _, f := range r.Foreign {
			c.say("  %s/%d at offset %d: %s", f.Topic, f.Partition, f.Offset, printable(f.Detail))
		}
	}
	if r.Ok() {
		return nil
	}
	c.say("boxoffice verify: %d findings", r.Found)
	return errDiffers
}

// reportText is a report for people: what was read, then what was found.
func reportText(r verify.Report) string {
	var b strings.Builder
	fmt.Fprintf(&b, "head    position %d, hash %s, %s\n", r.Head.Position, r.Head.Hash, r.Head.Time.Format(time.RFC3339Nano))
	fmt.Fprintf(&b, "log     %d events: shows %d, orders %d, payments %d; tickets held %d, sold %d\n",
		r.Events, r.Shows, r.Orders, r.Payments, r.Held, r.Sold)
	for _, m := range r.Money {
		fmt.Fprintf(&b, "money   %s: settled %d = tickets %d + refunds %d; open items %d\n", m.Currency, m.Settled, m.Sold, m.Refunds, m.Open)
	}
	b.WriteString("rows   ")
	for _, table := range slices.Sorted(maps.Keys(r.Rows)) {
		fmt.Fprintf(&b, " %s %d", table, r.Rows[table])
	}
	b.WriteByte('\n')
	if r.Topics != nil {
		fmt.Fprintf(&b, "topics  %d events, %d repeats\n", r.Topics.Messages, r.Topics.Repeats)
	}
	for _, d := range r.Discarded {
		fmt.Fprintf(&b, "left out %s %s from version %d on: %s\n", d.Projection, printable(d.Stream), d.Version, printable(d.Reason))
	}
	if r.Ok() {
		b.WriteString("ok      all invariants hold\n")
		return b.String()
	}
	fmt.Fprintf(&b, "DIFFERS %d findings\n", r.Found)
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "  %-9s %s", f.Kind, printable(f.Key))
		if f.Position > 0 {
			fmt.Fprintf(&b, " at %d", f.Position)
		}
		fmt.Fprintf(&b, ": %s\n", printable(f.Detail))
	}
	if more := r.Found - int64(len(r.Findings)); more > 0 {
		fmt.Fprintf(&b, "  and %d more\n", more)
	}
	return b.String()
}
