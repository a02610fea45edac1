package main

import (
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"boxoffice/eventstore"
	"boxoffice/internal/messaging"
)

// contentShown is how much of an event or message is shown to people, in characters.
const contentShown = 4000

// asideWhole is all there is to see of something that stands aside, as --json prints it.
type asideWhole struct {
	asideView
	Headers       map[string]string `json:"headers,omitempty"`
	Payload       json.RawMessage   `json:"payload,omitempty"`       // of a message: as it is, if it is JSON
	PayloadText   string            `json:"payloadText,omitempty"`   // or as text,
	PayloadBase64 []byte            `json:"payloadBase64,omitempty"` // or as bytes
	Event         *eventLine        `json:"event,omitempty"`         // of a parked stream: what stopped it, from the log
	Waiting       int64             `json:"waiting"`                 // events of the stream that come after it
}

func (c *cli) dlqShow() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show ID",
		Short: "Show one thing that stands aside, with its data, headers, reason and what waits behind it",
		Example: `  boxoffice dlq show parked/order_status/order-ORDER-20250205-338aa78d
  boxoffice dlq show dead/3/17 --json | jq .payload`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			ids, err := c.parseAsides(args)
			if err != nil {
				return err
			}
			d, err := c.openDepot(cmd, ids[0].dead)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, d.close()) }()
			whole, err := d.show(cmd.Context(), ids[0])
			if err != nil {
				return err
			}
			if asJSON {
				return written(json.NewEncoder(c.stdout).Encode(whole))
			}
			_, err = fmt.Fprint(c.stdout, whole.text())
			return written(err)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON, whole")
	c.toolFlags(cmd, "DATABASE_URL", "KAFKA_BROKERS")
	return cmd
}

func (d *depot) show(ctx context.Context, id aside) (asideWhole, error) {
	if id.dead {
		l, err := d.letter(ctx, id)
		if err != nil {
			return asideWhole{}, err
		}
		// What was left out is shown where it can still be read.
		if whole, err := l.Original(ctx, d.kafka); err == nil {
			l.Message.Payload, l.Cut = whole.Payload, 0
		}
		return showLetter(l), nil
	}
	p, err := d.parked(ctx, id)
	if err != nil {
		return asideWhole{}, err
	}
	whole := asideWhole{asideView: viewParked(p)}
	events, err := d.store.ReadStream(ctx, p.Stream, p.Version-1, 1)
	if err != nil {
		return whole, err
	}
	if len(events) > 0 && events[0].Version == p.Version {
		e := events[0]
		whole.Event = &eventLine{
			e.Position, e.Stream, e.Version, e.Type, e.SchemaVersion, e.RecordedAt.UTC(), e.Data, e.Metadata, hex.EncodeToString(e.Hash),
		}
		whole.Headers = eventstore.ToMessage(e).Metadata
	}
	last, found, err := d.store.LastAt(ctx, p.Stream, math.MaxInt64)
	if found {
		whole.Waiting = max(last.Version-p.Version, 0)
	}
	return whole, err
}

func showLetter(l messaging.DeadLetter) asideWhole {
	whole := asideWhole{asideView: viewLetter(l), Headers: l.Message.Metadata}
	switch payload := []byte(l.Message.Payload); {
	case json.Valid(payload):
		whole.Payload = payload
	case utf8.Valid(payload):
		whole.PayloadText = string(payload)
	default:
		whole.PayloadBase64 = payload
	}
	return whole
}

// text is for people; what others wrote can't steer their terminal.
func (w asideWhole) text() string {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-9s %s\n", name, printable(fmt.Sprintf(format, args...)))
	}
	line("id", "%s", w.ID)
	line("aside", "since %s", w.At.Format("2006-01-02T15:04:05.000Z"))
	line("reason", "%s", cmp.Or(w.Reason, untold))
	if w.kind() == "dead" {
		line("what", "%s", w.what())
		if w.Partition != nil {
			line("from", "%s/%d at offset %d", w.Topic, *w.Partition, *w.Offset)
		}
		line("key", "%s", w.Key)
	} else {
		line("stream", "%s for %s", w.Stream, w.Projection)
		line("event", "version %d at position %d, %s", w.Version, w.Position, w.Type)
		line("waiting", "%d events of the stream come after it", w.Waiting)
	}
	for _, name := range slices.Sorted(maps.Keys(w.Headers)) {
		line("header", "%s: %s", name, w.Headers[name])
	}
	switch {
	case w.kind() == "dead":
		line("payload", "%s", beginning(string(w.Payload)+w.PayloadText+string(w.PayloadBase64)))
	case w.Event == nil:
		line("data", "the log does not have this event")
	default:
		line("metadata", "%s", w.Event.Metadata)
		line("data", "%s", beginning(string(w.Event.Data)))
	}
	if w.Cut > 0 {
		line("cut", "%d bytes more", w.Cut)
	}
	return b.String()
}

func beginning(text string) string {
	if runes := []rune(text); len(runes) > contentShown {
		return string(runes[:contentShown]) + fmt.Sprintf("… (%d bytes, --json shows all)", len(text))
	}
	return text
}
