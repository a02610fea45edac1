package main

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"boxoffice/cmd/internal/config"
	"boxoffice/projections/verify"
)

func (c *cli) verify() *cobra.Command {
	var kafka, asJSON bool
	var kept keptFlag
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Prove the invariants from the log, the read models and the topics",
		Long: `Reads the whole log and checks: positions, versions and times; the hash chain; 0 ≤ held + sold ≤ capacity
after every event; that a hold ends once and every order has its own; that settled money is tickets and
refunds. Then compares every column of the read models, and with --kafka the topics, with what the log says.
It may run beside a service that sells.

It prints the head's position and hash: kept where nobody who can change the database can reach them, they show
later whether the past was changed (--head). Exit 3 if anything differs, with what it is and what to do about it.`,
		Example: `  boxoffice verify
  boxoffice verify --kafka --data .boxoffice
  boxoffice verify --json | jq '.head | "\(.position):\(.hash)"'
  boxoffice verify --head 120934:5f0c…`,
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
			settings := verify.Config{Kept: kept.head}
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
			bar := c.newProgress(false)
			settings.Progress = func(position, head int64) {
				bar.tell(step{Phase: "log", Done: position, Total: head, Unit: "events"})
			}
			settings.Comparing = func(what string, done, total int64) {
				bar.tell(step{Phase: what, Done: done, Total: total, Unit: "compared"})
			}
			report, err := verify.Run(cmd.Context(), db, settings)
			bar.end()
			if err != nil {
				return err
			}
			return c.tell(report, asJSON)
		},
	}
	cmd.Flags().BoolVar(&kafka, "kafka", false, "compare the topics too")
	cmd.Flags().Var(&kept, "head", "what an earlier verify told of the head: exit 3 if the log has another hash there now")
	cmd.Flags().BoolVar(&asJSON, "json", false, "the report as JSON")
	c.toolFlags(cmd, "DATABASE_URL", "KAFKA_BROKERS")
	return cmd
}

// keptFlag is a head as an earlier verification told it.
type keptFlag struct{ head *verify.Kept }

func (k *keptFlag) String() string {
	if k.head == nil {
		return ""
	}
	return fmt.Sprintf("%d:%x", k.head.Position, k.head.Hash)
}

func (k *keptFlag) Set(text string) error {
	const hashBytes = 32
	before, after, _ := strings.Cut(text, ":")
	position, err := strconv.ParseInt(before, 10, 64)
	hash, wrong := hex.DecodeString(after)
	if err != nil || wrong != nil || position < 1 || len(hash) != hashBytes {
		return errors.New("not POSITION:HASH")
	}
	k.head = &verify.Kept{Position: position, Hash: hash}
	return nil
}

// Type is the flag's form, as the help shows it.
func (*keptFlag) Type() string { return "POSITION:HASH" }

// tell prints a report, and says on stderr what is no finding but worth to know.
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
