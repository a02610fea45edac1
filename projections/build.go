package projections

import (
	"context"
	"fmt"

	"github.com/jmoiron/sqlx"

	"boxoffice/eventstore"
)

// Build folds a read model anew from the beginning of the log, by the fold that a live consumer uses. It
// belongs to one goroutine.
type Build struct{ f folding }

// NewBuild begins with no rows. Discarded streams are left out from the version that is given with them.
func NewBuild(p Projection, store *eventstore.Store, discarded map[string]int64) *Build {
	return &Build{folding{projection: p, read: store.ReadStream, rows: p.Rows(), out: discarded}}
}

// Only lets the build pass over events of other rows; nil: it folds all.
func (b *Build) Only(wants func(key string) bool) { b.f.wants = wants }

// Add folds the log's next events, all of them or those that may feed a row. With a db the rows that are not in
// memory are read from there; without one they begin at version 0.
func (b *Build) Add(ctx context.Context, db sqlx.QueryerContext, events []eventstore.Recorded) error {
	feeding, err := b.f.feeding(ctx, events)
	if err != nil {
		return fmt.Errorf("build %s: %w", b.f.projection.Definition().Name, err)
	}
	if b.f.loaded = nil; db != nil {
		b.f.loaded = map[string]bool{}
	}
	if err := b.f.add(ctx, db, feeding); err != nil {
		return fmt.Errorf("build %s: %w", b.f.projection.Definition().Name, err)
	}
	return nil
}

// Rows are those in memory.
func (b *Build) Rows() Bulk { return b.f.rows }

// Parked are the streams that could not be gone on with; their rows show what came before.
func (b *Build) Parked() []Parked { return b.f.parked }

// Park gives a row up that can't be stored: its stream counts as parked from an event on.
func (b *Build) Park(e eventstore.Recorded, reason error) { b.f.park(e, reason) }
