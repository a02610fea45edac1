package projections

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jmoiron/sqlx"

	"boxoffice/eventstore"
)

// healPage is how many events of a stream are read at once to heal a gap.
const healPage = 500

// maxReason is the longest reason that is kept of a parked stream, in bytes.
const maxReason = 1000

// streamReader reads a stream of the log after a version, in order, up to limit events.
type streamReader func(ctx context.Context, stream string, after int64, limit int) ([]eventstore.Recorded, error)

// folding folds events into rows in memory.
type folding struct {
	projection Projection
	read       streamReader
	rows       Bulk
	wants      func(key string) bool // rows that are not wanted are passed over; nil: all are
	loaded     map[string]bool       // keys of the rows that are in memory; nil: what is not there begins at version 0
	skip       map[string]bool       // streams that were parked before
	stop       map[string]int64      // streams parked by these events: the first version that could not be gone on with
	out        map[string]int64      // discarded streams: the first version that is left out
	poison     map[string]error      // known beforehand, by the events' ids
	parked     []Parked              // by these events
	tally      Tally
}

// keyed is an event with the row that it feeds, or with why that can't be read.
type keyed struct {
	key   string
	event *eventstore.Recorded
	err   error
}

// foldBatch reads the rows that events touch and folds the events into them. Poison are events that are known to
// be some, by their ids.
func foldBatch(ctx context.Context, p Projection, db sqlx.QueryerContext, read streamReader, events []eventstore.Recorded, poison map[string]error) (*folding, error) {
	f := &folding{projection: p, read: read, rows: p.Rows(), loaded: map[string]bool{}, poison: poison}
	feeding, err := f.feeding(ctx, events)
	if err != nil || len(feeding) == 0 {
		return f, err
	}
	stopped, err := stoppedAmong(ctx, db, p.Definition().Name, streamsOf(feeding))
	if err != nil {
		return nil, err
	}
	f.skip, f.out = stopped.parked, stopped.discarded
	return f, f.add(ctx, db, feeding)
}

// feeding are the events that feed a row. One that can't be read parks its stream in its turn: what came before
// it is still folded.
func (f *folding) feeding(ctx context.Context, events []eventstore.Recorded) ([]keyed, error) {
	feeding := make([]keyed, 0, len(events))
	for i := range events {
		e := &events[i]
		var err error
		if e.Data == nil {
			var found eventstore.Recorded
			if found, err = f.whole(ctx, *e); err != nil && !errors.Is(err, ErrPoison) {
				return nil, err
			}
			e = &found
		}
		key, ok := "", false
		if err == nil {
			key, ok, err = f.projection.Key(*e)
		}
		if len(f.poison) > 0 && err == nil && ok {
			err = f.poison[e.ID()]
		}
		if err == nil && ok && !storable(key) {
			err = fmt.Errorf("%w: %s is for the row %q, which there can't be", ErrPoison, e.ID(), key)
		}
		if ok && err == nil && f.wants != nil && !f.wants(key) {
			continue
		}
		if ok || err != nil {
			feeding = append(feeding, keyed{key, e, err})
		}
	}
	return feeding, nil
}

// whole is an event whose data did not fit into its message, from the log. Errors: ErrPoison if it is not there.
func (f *folding) whole(ctx context.Context, e eventstore.Recorded) (eventstore.Recorded, error) {
	found, err := f.read(ctx, e.Stream, e.Version-1, 1)
	if err != nil {
		return e, fmt.Errorf("read %s, which is too large for its topic: %w", e.ID(), err)
	}
	if len(found) == 0 || found[0].Version != e.Version {
		return e, fmt.Errorf("%w: %s came without data, and the log does not have it", ErrPoison, e.ID())
	}
	return found[0], nil
}

// add folds events into their rows, and reads the rows that are not in memory yet.
func (f *folding) add(ctx context.Context, db sqlx.QueryerContext, feeding []keyed) error {
	if f.loaded != nil {
		var keys []string
		for _, k := range feeding {
			if k.err == nil && !f.loaded[k.key] {
				f.loaded[k.key] = true
				keys = append(keys, k.key)
			}
		}
		if err := f.rows.Load(ctx, db, keys); err != nil {
			return err
		}
	}
	for _, k := range feeding {
		if err := f.fold(ctx, k); err != nil {
			return err
		}
	}
	return nil
}

// fold applies one event, healing a gap before it; an event that can't be folded parks its stream.
func (f *folding) fold(ctx context.Context, k keyed) error {
	if out, is := f.out[k.event.Stream]; is && k.event.Version >= out {
		f.tally.Discarded++
		return nil
	}
	if stop, parked := f.stop[k.event.Stream]; f.skip[k.event.Stream] || parked && k.event.Version >= stop {
		f.tally.Waiting++
		return nil
	}
	if k.err != nil {
		f.park(*k.event, k.err)
		return nil //nolint:nilerr // the parked stream tells of it
	}
	step, err := f.rows.Fold(k.key, *k.event)
	culprit := k.event
	if err == nil && step.Outcome == Gap {
		f.tally.Gaps++
		var at eventstore.Recorded
		at, err = f.heal(ctx, k, step.Version)
		culprit = &at
	}
	switch {
	case errors.Is(err, ErrPoison):
		f.park(*culprit, err)
	case err != nil:
		return err
	case step.Outcome == Repeat:
		f.tally.Repeats++
	default:
		f.tally.Folded++
	}
	return nil
}

// heal folds what is missing between a row at a version and an event, and the event itself, from the log.
// With ErrPoison it tells which event it was.
func (f *folding) heal(ctx context.Context, k keyed, version int64) (eventstore.Recorded, error) {
	for version < k.event.Version {
		page, err := f.read(ctx, k.event.Stream, version, healPage)
		if err != nil {
			return *k.event, fmt.Errorf("heal row %s of %s: %w", k.key, f.projection.Definition().Name, err)
		}
		if len(page) == 0 {
			return *k.event, fmt.Errorf("%w: %s came, and the log has nothing of its stream after version %d", ErrPoison, k.event.ID(), version)
		}
		for _, e := range page {
			step, err := f.rows.Fold(k.key, e)
			if err != nil {
				return e, err
			}
			if step.Outcome == Gap {
				return e, fmt.Errorf("%w: the log has a gap before %s", ErrPoison, e.ID())
			}
			version = step.Version
			if version >= k.event.Version {
				break
			}
		}
	}
	return *k.event, nil
}

// park stops the stream of an event for this projection.
func (f *folding) park(e eventstore.Recorded, reason error) {
	text := strings.ToValidUTF8(strings.ReplaceAll(reason.Error(), "\x00", ""), "")
	if f.stop == nil {
		f.stop = map[string]int64{}
	}
	f.stop[e.Stream] = e.Version
	f.tally.Parked++
	f.parked = append(f.parked, Parked{
		Projection: f.projection.Definition().Name, Stream: e.Stream, Version: e.Version, Position: e.Position,
		Type: e.Type, Reason: strings.ToValidUTF8(text[:min(len(text), maxReason)], ""),
	})
}

// streamsOf lists the streams of events, each once.
func streamsOf(all []keyed) []string {
	seen, streams := make(map[string]bool, len(all)), []string(nil)
	for _, k := range all {
		if !seen[k.event.Stream] {
			seen[k.event.Stream] = true
			streams = append(streams, k.event.Stream)
		}
	}
	return streams
}
