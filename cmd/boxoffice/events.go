package main

import (
	"bufio"
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
	"boxoffice/domain"
	"boxoffice/eventstore"
	"boxoffice/projections"
)

const (
	eventsPage = 1000 // events of one read
	dataShown  = 200  // characters of the data of an event that has no words
)

// eventQuery says which events are printed.
type eventQuery struct {
	stream, eventType string
	from, to          logBound
	follow, json      bool
}

func (c *cli) events() *cobra.Command {
	q := eventQuery{from: logBound{position: 1}}
	cmd := &cobra.Command{
		Use:   "events",
		Short: "Print the log",
		Long: `Prints the log, oldest first: one line for each event with its position, time, stream:version, type and
what it says in words, or with --json one object for each line, whole.

A position is where GET /orders/{id}?at=POSITION looks, and /history, and the same of shows.`,
		Example: `  boxoffice events --follow
  boxoffice events --stream order-ORDER-20250205-338aa78d
  boxoffice events --from 2025-02-05T12:00:00Z --to 2025-02-05T12:15:00Z --type HoldsExpired
  boxoffice events --type OrderCompleted --from 1000 --to 2000 --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if q.to.before(q.from) {
				c.started = false
				return fmt.Errorf("from %s to %s is no range", q.from.String(), q.to.String())
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
			if q.eventType != "" && !domain.Known(q.eventType) {
				c.say("%s: no event type %q is known here%s", cmd.CommandPath(), q.eventType, nearType(q.eventType))
			}
			p := eventPrinter{eventQuery: q, store: eventstore.New(db, eventstore.Config{}), out: bufio.NewWriter(c.stdout), say: c.say, name: cmd.CommandPath()}
			return p.run(cmd.Context())
		},
	}
	cmd.Flags().StringVar(&q.stream, "stream", "", "only this stream, such as show-42")
	cmd.Flags().StringVar(&q.eventType, "type", "", "only events of this type")
	cmd.Flags().Var(&q.from, "from", "first `POSITION` or time (RFC 3339)")
	cmd.Flags().Var(&q.to, "to", "last `POSITION` or time; 0 is the end")
	cmd.Flags().BoolVar(&q.follow, "follow", false, "go on with what is still to come")
	cmd.Flags().BoolVar(&q.json, "json", false, "one JSON object a line")
	c.toolFlags(cmd, "DATABASE_URL")
	return cmd
}

// wants reports whether an event is printed.
func (q eventQuery) wants(e *eventstore.Recorded) bool {
	return !q.from.isAfter(e) && (q.eventType == "" || e.Type == q.eventType)
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
	// An event that nobody here can read has no words but its type; then its data must do.
	words := projections.Describe(*e)
	if words == e.Type {
		words = shortened(string(e.Data))
	}
	_, err := fmt.Fprintf(out, "%8d  %s  %-42s %-18s %s\n",
		e.Position, e.RecordedAt.UTC().Format("2006-01-02T15:04:05.000000Z"), printable(e.ID()), printable(e.Type), printable(words))
	return written(err)
}

func shortened(text string) string {
	if runes := []rune(text); len(runes) > dataShown {
		text = string(runes[:dataShown]) + "…"
	}
	return text
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
