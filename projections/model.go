package projections

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/jmoiron/sqlx"

	"boxoffice/domain"
	"boxoffice/eventstore"
)

// Model makes a Projection of a fold over rows that hold a T.
type Model[T any] struct {
	Def Definition
	// KeyOf tells which row an event feeds, see Projection.Key.
	KeyOf func(e eventstore.Recorded) (key string, ok bool, err error)
	// Sparse: only some events of a stream feed a row, so a jump of its version is not a gap.
	Sparse bool
	// Decode reads an event that the fold wants; nil for one that only moves the version.
	Decode func(e eventstore.Recorded) (domain.Event, error)
	// Apply folds an event into a row's state, which is a copy: what its slices and pointers lead to
	// must be replaced and not changed.
	Apply func(state *T, e eventstore.Recorded, ev domain.Event) error
	// Load reads rows by key in one query.
	Load func(ctx context.Context, db sqlx.QueryerContext, keys []string) (map[string]Row[T], error)
	// Save writes rows in the order they are given, each only if its version is above the stored one.
	Save func(ctx context.Context, tx *sqlx.Tx, rows []Row[T]) error
}

// Row is a row of a read model: its state after the events of its stream up to Version.
type Row[T any] struct {
	Key      string
	Version  int64
	Position int64 // of the event with that version
	State    T
}

// Definition returns the model's definition.
func (m *Model[T]) Definition() Definition { return m.Def }

// Key tells which row an event feeds.
func (m *Model[T]) Key(e eventstore.Recorded) (string, bool, error) { return m.KeyOf(e) }

// Rows begins with no rows in memory.
func (m *Model[T]) Rows() Rows {
	return &rows[T]{model: m, all: map[string]Row[T]{}, changed: map[string]struct{}{}}
}

type rows[T any] struct {
	model   *Model[T]
	all     map[string]Row[T]
	changed map[string]struct{}
}

func (r *rows[T]) Load(ctx context.Context, db sqlx.QueryerContext, keys []string) error {
	if len(keys) == 0 {
		return nil
	}
	loaded, err := r.model.Load(ctx, db, keys)
	if err != nil {
		return fmt.Errorf("load %d rows of %s: %w", len(keys), r.model.Def.Name, err)
	}
	maps.Copy(r.all, loaded)
	return nil
}

func (r *rows[T]) Fold(key string, e eventstore.Recorded) (step Step, err error) {
	row := r.all[key]
	if e.Version <= row.Version {
		return Step{Repeat, row.Version}, nil
	}
	if !r.model.Sparse && e.Version > row.Version+1 {
		return Step{Gap, row.Version}, nil
	}
	before := row.Version
	defer func() {
		if p := recover(); p != nil {
			step, err = Step{Version: before}, fmt.Errorf("%w: %s: panic: %v", ErrPoison, e.ID(), p)
		}
	}()
	ev, err := r.model.Decode(e)
	if err != nil {
		return Step{Version: before}, fmt.Errorf("%w: %s: %w", ErrPoison, e.ID(), err)
	}
	if ev != nil {
		if err := r.model.Apply(&row.State, e, ev); err != nil {
			return Step{Version: before}, fmt.Errorf("%w: %s: %w", ErrPoison, e.ID(), err)
		}
	}
	row.Key, row.Version, row.Position = key, e.Version, e.Position
	r.all[key] = row
	r.changed[key] = struct{}{}
	return Step{Folded, row.Version}, nil
}

func (r *rows[T]) Save(ctx context.Context, tx *sqlx.Tx) error {
	if len(r.changed) == 0 {
		return nil
	}
	// In the order of their keys, so that two transactions that touch the same rows never deadlock.
	out := make([]Row[T], 0, len(r.changed))
	for _, key := range slices.Sorted(maps.Keys(r.changed)) {
		out = append(out, r.all[key])
	}
	if err := r.model.Save(ctx, tx, out); err != nil {
		return fmt.Errorf("save %d rows of %s: %w", len(out), r.model.Def.Name, err)
	}
	clear(r.changed)
	return nil
}

// foldRow folds events of one row from its beginning.
func foldRow[T any](m *Model[T], key string, events []eventstore.Recorded) (Row[T], error) {
	r := rows[T]{model: m, all: map[string]Row[T]{}, changed: map[string]struct{}{}}
	for _, e := range events {
		step, err := r.Fold(key, e)
		if err != nil {
			return Row[T]{}, err
		}
		if step.Outcome == Gap {
			return Row[T]{}, fmt.Errorf("fold %s: %s came after version %d", key, e.ID(), step.Version)
		}
	}
	return r.all[key], nil
}
