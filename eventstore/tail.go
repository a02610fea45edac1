package eventstore

import (
	"bytes"
	"context"
	"fmt"
)

// selectTail starts at what is known, which is there to be compared.
const selectTail = `SELECT ` + eventColumns + ` FROM events WHERE position >= $1 ORDER BY position LIMIT $2`

// Tail reads whole appends after known, about limit events of them, and the head they lead to; no events
// and known itself mean that known is the head. Like Turn it proves that known is a prefix of this log,
// else ErrReplaced. It takes no lock: a writer follows the log with it, and comes near enough for a turn.
func (s *Store) Tail(ctx context.Context, known Head, limit int) (Head, []Recorded, error) {
	if err := checkPage(limit); err != nil {
		return Head{}, nil, err
	}
	itself := int(min(known.Position, 1))   // the event at known, if there is one
	for n := limit; ; n += MaxBatchEvents { // the largest append fits the second time
		rows, err := s.db.QueryContext(ctx, selectTail, known.Position, n+itself)
		read, err := scanEvents(rows, err)
		if err != nil {
			return Head{}, nil, fmt.Errorf("read the tail after %d: %w", known.Position, err)
		}
		tail, err := cutTail(known, read)
		if err != nil {
			return Head{}, nil, err
		}
		if len(tail) == 0 {
			return known, nil, nil
		}
		for i := len(tail); i > 0; i-- {
			if last := &tail[i-1]; last.Hash != nil {
				return Head{Position: last.Position, Time: last.RecordedAt, Hash: last.Hash}, tail[:i], nil
			}
		}
		if n > MaxBatchEvents {
			return Head{}, nil, fmt.Errorf("%w: no append ends within %d events after %d", ErrGap, len(tail), known.Position)
		}
	}
}

// cutTail checks events, which start at known (or at 1 if nothing is known), and returns those after it.
func cutTail(known Head, events []Recorded) ([]Recorded, error) {
	if known.Position > 0 {
		if len(events) == 0 {
			return nil, fmt.Errorf("%w: position %d is beyond its head", ErrReplaced, known.Position)
		}
		if err := checkKnown(known, events[0].Position, events[0].Hash); err != nil {
			return nil, err
		}
		events = events[1:]
	}
	return events, checkDense(events, known.Position)
}

// checkKnown compares what is known with the log at the same position.
func checkKnown(known Head, position int64, hash []byte) error {
	if known.Position > 0 && (position != known.Position || !bytes.Equal(hash, known.Hash)) {
		return fmt.Errorf("%w: another hash at position %d", ErrReplaced, known.Position)
	}
	return nil
}
