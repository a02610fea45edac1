package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"boxoffice/cmd/internal/config"
	"boxoffice/cmd/internal/serve"
)

const (
	watchEvery = 2 * time.Second
	lagTimeout = 20 * time.Second // of one measurement
)

func (c *cli) lag() *cobra.Command {
	var asJSON, watch bool
	cmd := &cobra.Command{
		Use:   "lag",
		Short: "Tell how far the relay, projections and consumers are behind the log",
		Long: `Tells for each reader of the log up to which position it has read everything, how many events it has not
read, and how old the oldest of them is. Events that the relay has not published count for all that come
after it. The relay and projections are measured by their checkpoints in Postgres, consumers by the offsets
that their groups have committed. Exit 5 if a server can't be reached; what the other one says is printed, and
what is not known without Kafka is called unknown.`,
		Example: `  boxoffice lag
  boxoffice lag --watch --data .boxoffice
  boxoffice lag --json | jq '.readers[] | select(.events > 0)'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			tools, err := c.tools(cmd, config.NeedDatabase, config.NeedKafka)
			if err != nil {
				return err
			}
			kafka, err := tools.Kafka.Messaging("")
			if err != nil {
				return err
			}
			db, err := openDatabase(cmd.Context(), tools.DatabaseURL)
			if err != nil {
				return err
			}
			meter := serve.NewLagMeter(db, kafka)
			defer func() { err = errors.Join(err, meter.Close(), db.Close()) }()
			for {
				if err := c.tellLag(cmd.Context(), meter, asJSON); err != nil || !watch {
					return err
				}
				if err := sleep(cmd.Context(), watchEvery); err != nil {
					return err
				}
			}
		},
	}
	cmd.Flags().BoolVar(&watch, "watch", false, "tell it again every 2 s")
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON; with --watch one object a line")
	c.toolFlags(cmd, "DATABASE_URL", "KAFKA_BROKERS")
	return cmd
}

// sleep waits; an error means that ctx ended.
func sleep(ctx context.Context, pause time.Duration) error {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// lagLine is a reader as --json prints it.
type lagLine struct {
	Name     string           `json:"name"`
	Kind     serve.ReaderKind `json:"kind"`               // relay, projection or consumer
	Position *int64           `json:"position,omitempty"` // everything up to here is read; consumers have none
	Events   int64            `json:"events"`
	Seconds  float64          `json:"seconds"`
}

// lagView is a report as --json prints it.
type lagView struct {
	At   time.Time `json:"at"`
	Head struct {
		Position int64     `json:"position"`
		Time     time.Time `json:"time"`
	} `json:"head"`
	Readers     []lagLine `json:"readers"`
	DeadLetters *int64    `json:"deadLetters,omitempty"` // left out: not known
	Kafka       string    `json:"kafka,omitempty"`       // why the brokers could not be asked; then projections and consumers may be missing
}

func viewOf(r serve.LagReport) lagView {
	v := lagView{At: r.At.UTC()}
	v.Head.Position, v.Head.Time = r.Head, r.HeadAt.UTC()
	for _, l := range r.Lags {
		line := lagLine{Name: l.Reader, Kind: l.Kind, Events: l.Events, Seconds: l.Age.Round(time.Millisecond).Seconds()}
		if l.Kind != serve.ConsumerReader {
			line.Position = &l.Position
		}
		v.Readers = append(v.Readers, line)
	}
	if r.DeadLetters >= 0 {
		v.DeadLetters = &r.DeadLetters
	}
	if r.Kafka != nil {
		v.Kafka = r.Kafka.Error()
	}
	return v
}

func (c *cli) tellLag(ctx context.Context, meter *serve.LagMeter, asJSON bool) error {
	limited, cancel := context.WithTimeout(ctx, lagTimeout)
	defer cancel()
	report, err := meter.Measure(limited)
	if err != nil {
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	view := viewOf(report)
	if asJSON {
		err = json.NewEncoder(c.stdout).Encode(view)
	} else {
		_, err = fmt.Fprint(c.stdout, lagText(view))
	}
	if err != nil {
		return written(err)
	}
	if report.Kafka != nil {
		return &unreachable{"Kafka", report.Kafka}
	}
	return nil
}

// lagText is a report for people.
func lagText(v lagView) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-12s %-14s %12s %10s %10s\n", "", "reader", "position", "events", "behind")
	fmt.Fprintf(&b, "%-12s %-14s %12d\n", "log", "head", v.Head.Position)
	for _, l := range v.Readers {
		position := "-"
		if l.Position != nil {
			position = fmt.Sprint(*l.Position)
		}
		age := time.Duration(l.Seconds * float64(time.Second)).Round(100 * time.Millisecond)
		fmt.Fprintf(&b, "%-12s %-14s %12s %10d %10s\n", l.Kind, l.Name, position, l.Events, age)
	}
	if v.DeadLetters != nil {
		fmt.Fprintf(&b, "%-12s %-14s %12s %10d\n", "dead letters", "", "", *v.DeadLetters)
	}
	if v.Kafka != "" {
		unknown := func(kind, reader, position, behind string) {
			fmt.Fprintf(&b, "%-12s %-14s %12s %10s %10s\n", kind, reader, position, untold, behind)
		}
		for _, kind := range []serve.ReaderKind{serve.ProjectionReader, serve.ConsumerReader} {
			if !slices.ContainsFunc(v.Readers, func(l lagLine) bool { return l.Kind == kind }) {
				unknown(string(kind), "all", untold, untold)
			}
		}
		if v.DeadLetters == nil {
			unknown("dead letters", "", "", "")
		}
	}
	b.WriteByte('\n')
	return b.String()
}
