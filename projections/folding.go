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

// folding folds one batch of events into rows in memory.
type folding struct {
	projection Projection
	read       streamReader
	rows       Rows
	skip       map[string]bool // parked streams
	parked     []Parked        // of this batch
	tally      Tally
}

// keyed is an event with the row that it feeds, or with why that can't be read.
type keyed struct {
	key   string
	event eventstore.Recorded
	err   error
}

// foldBatch reads the rows that events touch and folds the events into them.
func foldBatch(ctx context.Context, p Projection, db sqlx.QueryerContext, read streamReader, events []eventstore.Recorded) (*folding, error) {
	f := &folding{projection: p, read: read, rows: p.Rows(), skip: map[string]bool{}}
	var feeding []keyed
	for _, e := range events {
		// An event that can't be read parks its stream in its turn: what came before it is still folded.
		if key, ok, err := p.Key(e); ok || err != nil {
			feeding = append(feeding, keyed{key, e, err})
		}
	}
	if len(feeding) == 0 {
		return f, nil
	}
	streams, keys := distinct(feeding)
	waiting, err := parkedAmong(ctx, db, p.Definition().Name, streams)
	if err != nil {
		return nil, err
	}
	for stream := range waiting {
		f.skip[stream] = true
	}
	if err := f.rows.Load(ctx, db, keys); err != nil {
		return nil, err
	}
	for _, k := range feeding {
		if err := f.fold(ctx, k); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// fold applies one event, healing a gap before it; an event that can't be folded parks its stream.
func (f *folding) fold(ctx context.Context, k keyed) error {
	if f.skip[k.event.Stream] {
		f.tally.Waiting++
		return nil
	}
	if k.err != nil {
		f.park(k.event, k.err)
		return nil //nolint:nilerr // the parked stream tells of it
	}
	step, err := f.rows.Fold(k.key, k.event)
	culprit := k.event
	if err == nil && step.Outcome == Gap {
		f.tally.Gaps++
		culprit, err = f.heal(ctx, k, step.Version)
	}
	switch {
	case errors.Is(err, ErrPoison):
		f.park(culprit, err)
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
			return k.event, fmt.Errorf("heal row %s of %s: %w", k.key, f.projection.Definition().Name, err)
		}
		if len(page) == 0 {
			return k.event, fmt.Errorf("%w: %s came, and the log has nothing of its stream after version %d", ErrPoison, k.event.ID(), version)
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
	return k.event, nil
}

// park stops the stream of an event for this projection.
func (f *folding) park(e eventstore.Recorded, reason error) {
	text := strings.ToValidUTF8(strings.ReplaceAll(reason.Error(), "\x00", ""), "")
	f.skip[e.Stream] = true
	f.tally.Parked++
	f.parked = append(f.parked, Parked{
		Projection: f.projection.Definition().Name, Stream: e.Stream, Version: e.Version, Position: e.Position,
		Type: e.Type, Reason: strings.ToValidUTF8(text[:min(len(text), maxReason)], ""),
	})
}

// distinct lists the streams and keys of events, each once.
func distinct(all []keyed) (streams, keys []string) {
	seenStreams, seenKeys := make(map[string]bool, len(all)), make(map[string]bool, len(all))
	for _, k := range all {
		if !seenStreams[k.event.Stream] {
			seenStreams[k.event.Stream] = true
			streams = append(streams, k.event.Stream)
		}
		if k.err == nil && !seenKeys[k.key] {
			seenKeys[k.key] = true
			keys = append(keys, k.key)
		}
	}
	return streams, keys
}
