package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"boxoffice/internal/messaging"
	"boxoffice/projections"
)

// Limits of a list.
const (
	defaultPage = 100
	maxPage     = 1000
	maxNewest   = 100_000
)

// untold stands for what a dead letter does not say of itself, because somebody else wrote it.
const untold = "unknown"

// asideView is something that stands aside, as --json prints it.
type asideView struct {
	ID     string    `json:"id"`
	At     time.Time `json:"at"`
	Reason string    `json:"reason"`
	// Of a parked stream: the event that stopped it. Of a discarded one Version is the first that is left out.
	Projection string `json:"projection,omitempty"`
	Stream     string `json:"stream,omitempty"`
	Version    int64  `json:"version,omitempty"`
	Position   int64  `json:"position,omitempty"`
	Type       string `json:"type,omitempty"`
	// Of a dead letter: where it comes from.
	Topic     string `json:"topic,omitempty"`
	Group     string `json:"group,omitempty"`
	Partition *int32 `json:"partition,omitempty"`
	Offset    *int64 `json:"offset,omitempty"`
	Key       string `json:"key,omitempty"`
	Bytes     int64  `json:"bytes,omitempty"`
	Cut       int64  `json:"cut,omitempty"` // of these bytes, so many are missing in the letter
}

// asidePage is a page of the list, as --json prints it.
type asidePage struct {
	Items []asideView `json:"items"`
	Next  string      `json:"next,omitempty"` // what --after takes
}

func viewParked(p projections.Parked) asideView {
	return asideView{
		ID: aside{projection: p.Projection, stream: p.Stream}.String(), At: p.ParkedAt.UTC(), Reason: p.Reason,
		Projection: p.Projection, Stream: p.Stream, Version: p.Version, Position: p.Position, Type: p.Type,
	}
}

func viewLetter(l messaging.DeadLetter) asideView {
	v := asideView{
		ID: aside{dead: true, partition: l.Partition, offset: l.Offset}.String(), At: l.At, Reason: l.Reason,
		Type: l.Message.Metadata.Get("ce_type"), Topic: l.Topic, Group: l.Group, Key: l.Key,
		Bytes: int64(len(l.Message.Payload)) + l.Cut, Cut: l.Cut,
	}
	if l.From.Known {
		v.Partition, v.Offset = &l.From.Partition, &l.From.Offset
	}
	return v
}

// listQuery says which things are listed.
type listQuery struct {
	limit                   int
	newest                  int64
	after                   string
	parked, discarded, json bool
}

func (c *cli) dlqList() *cobra.Command {
	var q listQuery
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List what stands aside, oldest first",
		Long: `Lists parked streams and dead letters, oldest first: one line each with its ID, when it was set aside, what it
is and why. Of dead letters the newest of each partition are looked at; those that were sent again or discarded
are left out. A page ends with what --after takes for the next one.`,
		Example: `  boxoffice dlq list
  boxoffice dlq list --parked --json | jq -r .items[].id
  boxoffice dlq list --discarded`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if q.limit < 1 || q.limit > maxPage || q.newest < 1 || q.newest > maxNewest {
				return c.misused("--limit must be 1 to %d, --newest 1 to %d", maxPage, maxNewest)
			}
			after, err := parseCursor(q.after)
			if err != nil {
				return c.misused("--after: %w", err)
			}
			d, err := c.openDepot(cmd, !q.parked && !q.discarded)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, d.close()) }()
			page, err := d.list(cmd.Context(), q, after)
			if len(page.Items) == 0 && err != nil {
				return err
			}
			// What one server says is printed also when the other one can't be asked.
			return errors.Join(c.tellPage(page, q.json), err)
		},
	}
	cmd.Flags().IntVar(&q.limit, "limit", defaultPage, "lines of a page")
	cmd.Flags().StringVar(&q.after, "after", "", "go on where a page has ended")
	cmd.Flags().Int64Var(&q.newest, "newest", defaultNewest, "dead letters of each partition that are looked at")
	cmd.Flags().BoolVar(&q.parked, "parked", false, "only parked streams, without asking Kafka")
	cmd.Flags().BoolVar(&q.discarded, "discarded", false, "streams that were discarded, instead")
	cmd.Flags().BoolVar(&q.json, "json", false, "as JSON")
	c.toolFlags(cmd, "DATABASE_URL", "KAFKA_BROKERS")
	return cmd
}

// cursor is a place in the list: its order is that of times, and of IDs where times are equal.
type cursor struct {
	at time.Time
	id aside
}

func (v asideView) cursor() string { return v.At.Format(time.RFC3339Nano) + "," + v.ID }

func parseCursor(text string) (cursor, error) {
	if text == "" {
		return cursor{}, nil
	}
	at, id, _ := strings.Cut(text, ",")
	when, err := time.Parse(time.RFC3339Nano, at)
	if err != nil {
		return cursor{}, fmt.Errorf("%q is not where a page has ended", text)
	}
	is, err := parseAside(id)
	return cursor{when, is}, err
}

func (d *depot) list(ctx context.Context, q listQuery, after cursor) (page asidePage, err error) {
	page.Items = []asideView{}
	if q.discarded {
		return d.listDiscarded(ctx, q, after)
	}
	// A parked stream at the time of a dead letter comes after it, as "parked" comes after "dead".
	start := projections.Parked{ParkedAt: after.at, Projection: after.id.projection, Stream: after.id.stream}
	parked, err := projections.ParkedAfter(ctx, d.db, start, q.limit+1)
	if err != nil {
		return page, err
	}
	for _, p := range parked {
		page.Items = append(page.Items, viewParked(p))
	}
	if !q.parked {
		var letters []asideView
		if letters, err = d.letters(ctx, q.newest); err == nil {
			for _, v := range letters {
				if v.follows(after) {
					page.Items = append(page.Items, v)
				}
			}
		}
	}
	slices.SortStableFunc(page.Items, func(a, b asideView) int { return cmp.Or(a.At.Compare(b.At), strings.Compare(a.kind(), b.kind())) })
	return page.cut(q.limit), err
}

// kind is parked or dead.
func (v asideView) kind() string {
	kind, _, _ := strings.Cut(v.ID, "/")
	return kind
}

// follows reports whether a dead letter comes after a place in the list.
func (v asideView) follows(after cursor) bool {
	if !v.At.Equal(after.at) {
		return v.At.After(after.at)
	}
	id, err := parseAside(v.ID)
	if err != nil || !after.id.dead {
		return false
	}
	return cmp.Or(cmp.Compare(id.partition, after.id.partition), cmp.Compare(id.offset, after.id.offset)) > 0
}

func (p asidePage) cut(limit int) asidePage {
	if len(p.Items) > limit {
		p.Items = p.Items[:limit]
		p.Next = p.Items[limit-1].cursor()
	}
	return p
}

// letters are the newest dead letters of each partition that nobody has sent again or discarded, without payload.
func (d *depot) letters(ctx context.Context, newest int64) ([]asideView, error) {
	var views []asideView
	var places []projections.Letter
	err := messaging.ReadDeadLetters(ctx, d.kafka, newest, func(l messaging.DeadLetter) error {
		views, places = append(views, viewLetter(l)), append(places, placeOf(l))
		return nil
	})
	if err != nil || len(places) == 0 {
		return nil, err
	}
	done, err := projections.LettersDone(ctx, d.db, places)
	if err != nil {
		return nil, err
	}
	open := views[:0]
	for i, v := range views {
		if !done[places[i]] {
			open = append(open, v)
		}
	}
	return open, nil
}

func (d *depot) listDiscarded(ctx context.Context, q listQuery, after cursor) (page asidePage, err error) {
	page.Items = []asideView{}
	all, err := projections.DiscardedAfter(ctx, d.db, after.at, after.id.projection, after.id.stream, q.limit+1)
	for _, s := range all {
		page.Items = append(page.Items, asideView{
			ID: aside{projection: s.Projection, stream: s.Stream}.String(), At: s.DiscardedAt.UTC(), Reason: s.Reason,
			Projection: s.Projection, Stream: s.Stream, Version: s.Version, Position: s.Position,
		})
	}
	return page.cut(q.limit), err
}

func (c *cli) tellPage(page asidePage, asJSON bool) error {
	if asJSON {
		return written(json.NewEncoder(c.stdout).Encode(page))
	}
	out := bufio.NewWriter(c.stdout)
	for _, v := range page.Items {
		fmt.Fprintf(out, "%s  %s  %s  %s\n", v.ID, v.At.Format("2006-01-02T15:04:05Z"), printable(v.what()), printable(shortened(cmp.Or(v.Reason, untold))))
	}
	if err := written(out.Flush()); err != nil {
		return err
	}
	if page.Next != "" {
		c.say("There is more: --after %s", page.Next)
	}
	return nil
}

// what says in a word or two what stands aside.
func (v asideView) what() string {
	switch {
	case v.kind() == "dead" && v.Group == messaging.RelayGroup:
		return "unsent to " + v.Topic
	case v.kind() == "dead":
		return "of " + cmp.Or(v.Group, untold) + " from " + cmp.Or(v.Topic, untold)
	case v.Type == "":
		return "from version " + strconv.FormatInt(v.Version, 10) + " on"
	default:
		return v.Type + ":" + strconv.FormatInt(v.Version, 10)
	}
}
