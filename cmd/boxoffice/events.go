package main

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"boxoffice/cmd/internal/config"
	"boxoffice/eventstore"
)

const (
	eventsPage  = 1000                   // events of one read
	followEvery = 200 * time.Millisecond // how often --follow looks for more
	dataShown   = 200                    // characters of an event's data on its line
)

// eventQuery says which events are printed.
type eventQuery struct {
	stream, eventType string
	from, to          int64 // positions; to 0 is the end
	follow, json      bool
}

func (c *cli) events() *cobra.Command {
	var q eventQuery
	cmd := &cobra.Command{
		Use:   "events",
		Short: "Print the log",
		Long: `Prints the log, oldest first: one line for each event with its position, time, stream:version, type and
data, or with --json one object for each line, whole.`,
		Example: `  boxoffice events --follow
  boxoffice events --stream order-ORDER-20250205-338aa78d
  boxoffice events --type OrderCompleted --from 1000 --to 2000 --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if q.from < 0 || q.to < 0 || (q.to > 0 && q.to < q.from) {
				c.started = false
				return fmt.Errorf("positions %d to %d make no range", q.from, q.to)
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
			return q.print(cmd.Context(), eventstore.New(db, eventstore.Config{}), c.stdout)
		},
	}
	cmd.Flags().StringVar(&q.stream, "stream", "", "only this stream")
	cmd.Flags().StringVar(&q.eventType, "type", "", "only events of this type")
	cmd.Flags().Int64Var(&q.from, "from", 1, "first position")
	cmd.Flags().Int64Var(&q.to, "to", 0, "last position; 0 is the end")
	cmd.Flags().BoolVar(&q.follow, "follow", false, "go on with what is still to come")
	cmd.Flags().BoolVar(&q.json, "json", false, "one JSON object a line")
	c.toolFlags(cmd, "DATABASE_URL")
	return cmd
}

// print writes events until the end of the range, of the log or of ctx. Each page is flushed, so that a
// reader at the other end of a pipe sees it, and a reader that has gone ends it.
func (q eventQuery) print(ctx context.Context, store *eventstore.Store, to io.Writer) error {
	out := bufio.NewWriter(to)
	read, err := q.reader(ctx, store)
	if err != nil {
		return err
	}
	for {
		page, err := read()
		if err != nil {
			return err
		}
		for i := range page {
			if q.to > 0 && page[i].Position > q.to {
				return written(out.Flush())
			}
			if page[i].Position < q.from || (q.eventType != "" && page[i].Type != q.eventType) {
				continue
			}
			if err := q.write(out, &page[i]); err != nil {
				return err
			}
		}
		if err := written(out.Flush()); err != nil {
			return err
		}
		if len(page) == eventsPage {
			continue
		}
		if !q.follow {
			return nil
		}
		pause := time.NewTimer(followEvery)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return ctx.Err()
		}
	}
}

// reader gives page after page of the log or of a stream, beginning near the first position.
func (q eventQuery) reader(ctx context.Context, store *eventstore.Store) (func() ([]eventstore.Recorded, error), error) {
	if q.stream == "" {
		after := max(q.from-1, 0)
		return func() ([]eventstore.Recorded, error) {
			page, err := store.ReadAll(ctx, after, eventsPage)
			if len(page) > 0 {
				after = page[len(page)-1].Position
			}
			return page, err
		}, nil
	}
	after, err := store.VersionAt(ctx, q.stream, max(q.from-1, 0))
	if err != nil {
		return nil, err
	}
	return func() ([]eventstore.Recorded, error) {
		page, err := store.ReadStream(ctx, q.stream, after, eventsPage)
		if len(page) > 0 {
			after = page[len(page)-1].Version
		}
		return page, err
	}, nil
}

// eventLine is an event as --json prints it.
type eventLine struct {
	Position      int64           `json:"position"`
	Stream        string          `json:"stream"`
	Version       int64           `json:"version"`
	Type          string          `json:"type"`
	SchemaVersion int16           `json:"schemaVersion"`
	Time          time.Time       `json:"time"`
	Data          json.RawMessage `json:"data"`
	Metadata      json.RawMessage `json:"metadata"`
	Hash          string          `json:"hash,omitempty"` // hexadecimal; of the append that ends here
}

func (q eventQuery) write(out io.Writer, e *eventstore.Recorded) error {
	if q.json {
		line, err := json.Marshal(eventLine{
			e.Position, e.Stream, e.Version, e.Type, e.SchemaVersion, e.RecordedAt.UTC(), e.Data, e.Metadata, hex.EncodeToString(e.Hash),
		})
		if err != nil {
			return fmt.Errorf("event at %d: %w", e.Position, err)
		}
		_, err = out.Write(append(line, '\n'))
		return written(err)
	}
	_, err := fmt.Fprintf(out, "%8d  %s  %-42s %-18s %s\n",
		e.Position, e.RecordedAt.UTC().Format("2006-01-02T15:04:05.000000Z"), printable(e.ID()), printable(e.Type), shortened(string(e.Data)))
	return written(err)
}

func shortened(text string) string {
	if runes := []rune(text); len(runes) > dataShown {
		text = string(runes[:dataShown]) + "…"
	}
	return printable(text)
}

// printable keeps what customers typed from steering the operator's terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, text)
}
