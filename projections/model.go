package projections

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

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
	// Fill turns rows into those of the model's tables, in the order they are given.
	Fill func(rows []Row[T]) []Filled
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
func (m *Model[T]) Rows() Bulk {
	return newRows(m)
}

func newRows[T any](m *Model[T]) *rows[T] { return &rows[T]{model: m, all: map[string]*kept[T]{}} }

type rows[T any] struct {
	model   *Model[T]
	all     map[string]*kept[T]
	changed []string // keys, each once
}

// kept is a row in memory.
type kept[T any] struct {
	Row[T]
	changed bool // it stands in rows.changed
}

func (r *rows[T]) Load(ctx context.Context, db sqlx.QueryerContext, keys []string) error {
	if len(keys) == 0 {
		return nil
	}
	loaded, err := r.model.Load(ctx, db, keys)
	if err != nil {
		return fmt.Errorf("load %d rows of %s: %w", len(keys), r.model.Def.Name, err)
	}
	for key, row := range loaded {
		r.all[key] = &kept[T]{Row: row}
	}
	return nil
}

func (r *rows[T]) Fold(key string, e eventstore.Recorded) (step Step, err error) {
	in := r.all[key]
	if in == nil {
		in = &kept[T]{}
	}
	if e.Version <= in.Version {
		return Step{Repeat, in.Version}, nil
	}
	if !r.model.Sparse && e.Version > in.Version+1 {
		return Step{Gap, in.Version}, nil
	}
	before := in.Row
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
		if err != nil {
			in.Row = before
			step, err = Step{Version: before.Version}, fmt.Errorf("%w: %s: %w", ErrPoison, e.ID(), err)
		}
	}()
	ev, err := r.model.Decode(e)
	if err == nil && ev != nil {
		err = r.model.Apply(&in.State, e, ev)
	}
	if err != nil {
		return Step{}, err
	}
	if before.Version == 0 {
		r.all[key] = in
	}
	in.Key, in.Version, in.Position = key, e.Version, e.Position
	if !in.changed {
		in.changed = true
		r.changed = append(r.changed, key)
	}
	return Step{Folded, e.Version}, nil
}

func (r *rows[T]) Save(ctx context.Context, tx *sqlx.Tx) error {
	if len(r.changed) == 0 {
		return nil
	}
	// In the order of their keys, so that two transactions that touch the same rows never deadlock.
	slices.Sort(r.changed)
	out := make([]Row[T], 0, len(r.changed))
	for _, key := range r.changed {
		out = append(out, r.all[key].Row)
	}
	for _, f := range r.model.Fill(out) {
		if err := f.Upsert(ctx, tx); err != nil {
			return fmt.Errorf("save %d rows of %s: %w", len(r.changed), r.model.Def.Name, err)
		}
	}
	r.stored()
	return nil
}

// stored forgets which rows were changed.
func (r *rows[T]) stored() {
	for _, key := range r.changed {
		if in := r.all[key]; in != nil {
			in.changed = false
		}
	}
	r.changed = r.changed[:0]
}

func (r *rows[T]) Keys() []RowKey {
	keys := make([]RowKey, 0, len(r.all))
	for key := range r.all {
		row := r.all[key]
		keys = append(keys, RowKey{key, row.Version, row.Position})
	}
	slices.SortFunc(keys, func(a, b RowKey) int { return strings.Compare(a.Key, b.Key) })
	return keys
}

func (r *rows[T]) Filled(keys []RowKey) []Filled {
	out := make([]Row[T], len(keys))
	for i := range keys {
		out[i] = r.all[keys[i].Key].Row
	}
	return r.model.Fill(out)
}

func (r *rows[T]) Keep(wanted func(key string) bool) int {
	if wanted != nil {
		maps.DeleteFunc(r.all, func(key string, _ *kept[T]) bool { return !wanted(key) })
	}
	r.stored()
	return len(r.all)
}

// foldRow folds events of one row from its beginning.
func foldRow[T any](m *Model[T], key string, events []eventstore.Recorded) (Row[T], error) {
	r := newRows(m)
	for _, e := range events {
		step, err := r.Fold(key, e)
		if err != nil {
			return Row[T]{}, err
		}
		if step.Outcome == Gap {
			return Row[T]{}, fmt.Errorf("fold %s: %s came after version %d", key, e.ID(), step.Version)
		}
	}
	if in := r.all[key]; in != nil {
		return in.Row, nil
	}
	return Row[T]{}, nil
}
