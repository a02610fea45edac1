package verify

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jmoiron/sqlx"

	"boxoffice/eventstore"
)

// Discarded is a stream that an operator has given up for a read model: its row stays before Version.
type Discarded struct {
	Projection string `json:"projection"`
	Stream     string `json:"stream"`
	Version    int64  `json:"version"` // the first that is left out
	Reason     string `json:"reason"`
}

// feed is a stream as one projection sees it.
type feed struct{ projection, stream string }

// mark says that a projection can't go on with a stream.
type mark struct {
	Projection string `db:"projection"`
	Stream     string `db:"stream"`
	Version    int64  `db:"version"`
	Position   int64  `db:"position"`
	Type       string `db:"type"`
	Reason     string `db:"reason"`
}

// parkedIn reads all marks.
func parkedIn(db *sqlx.DB) func(context.Context) ([]mark, error) {
	return func(ctx context.Context) ([]mark, error) {
		var all []mark
		for last := (mark{}); ; {
			var page []mark
			err := db.SelectContext(ctx, &page, `SELECT projection, stream, version, position, type, reason FROM parked
				WHERE (projection, stream) > ($1, $2) ORDER BY projection, stream LIMIT $3`, last.Projection, last.Stream, pageRows)
			if err != nil {
				return nil, fmt.Errorf("read what is parked: %w", err)
			}
			all = append(all, page...)
			if len(page) < pageRows {
				return all, nil
			}
			last = page[len(page)-1]
		}
	}
}

// projectionOf is the projection that writes a table.
func projectionOf(table string) string {
	switch table {
	case "shows", "ticket_types":
		return "availability"
	default:
		return table
	}
}

// discard folds that an operator has given something up. What was given up first stays so.
func (f *fold) discard(e *eventstore.Recorded) {
	var ev Discarded
	if !f.decode(e, &ev) || ev.Projection == "" {
		return // a dead letter, which is no part of the log
	}
	at := feed{ev.Projection, ev.Stream}
	if _, before := f.discarded[at]; !before {
		f.discarded[at] = ev
	}
}

// excuse takes the rows that no waiting brings on off those that are behind: their streams are parked, which is a
// finding of its own, or an operator has given them up. What such a row shows must be what the log made at its version.
func (c *comparison) excuse(ctx context.Context) error {
	if len(c.behind) == 0 {
		return nil
	}
	projection, parked := projectionOf(c.model.table()), map[feed]bool{}
	if c.pass.cfg.parked != nil {
		marks, err := c.pass.cfg.parked(ctx)
		if err != nil {
			return err
		}
		for _, m := range marks {
			parked[feed{m.Projection, m.Stream}] = true
		}
	}
	var excused []row
	for key, stored := range c.behind {
		made, _ := c.model.fold(c.pass.fold, key)
		at := feed{projection, made.stream}
		out, given := c.pass.fold.discarded[at]
		if !parked[at] && (!given || stored.version >= out.Version || out.Version > made.version) {
			continue
		}
		delete(c.behind, key)
		if stored.stream = made.stream; stored.version > 0 {
			excused = append(excused, stored)
		}
	}
	slices.SortFunc(excused, func(a, b row) int {
		return cmp.Or(strings.Compare(a.stream, b.stream), cmp.Compare(a.version, b.version), strings.Compare(a.key, b.key))
	})
	return c.compareOld(ctx, excused)
}

// compareOld compares rows with what the log made of them at their versions. They come in the order of stream and
// version, so that a stream is read once.
func (c *comparison) compareOld(ctx context.Context, rows []row) error {
	var f *fold
	var version int64
	for i, stored := range rows {
		if i == 0 || stored.stream != rows[i-1].stream {
			f, version = newFold(&findings{}), 0 // what is wrong with the stream was found before
			f.seed = c.pass.fold.seed
		}
		if err := f.goOn(ctx, c.pass.log, stored.stream, version, stored.version); err != nil {
			return err
		}
		version = stored.version
		if made, known := c.model.fold(f, stored.key); known && made.version == stored.version {
			c.pass.compare(stored, made)
			continue
		}
		c.pass.found.add(KindRow, stored.name(), 0, "version %d, but the log makes no such version", stored.version)
	}
	return nil
}

// tellParked makes a finding of every stream that is parked: its row is not what the log says.
func (p *pass) tellParked(ctx context.Context) error {
	if p.cfg.parked == nil {
		return nil
	}
	marks, err := p.cfg.parked(ctx)
	for _, m := range marks {
		p.found.add(KindParked, m.Projection+" "+m.Stream, m.Position, "parked at version %d, %s: %s", m.Version, m.Type, m.Reason)
	}
	return err
}
