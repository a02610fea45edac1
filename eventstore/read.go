package eventstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

const eventColumns = `position, stream, version, type, schema_version, data, metadata, recorded_at, hash`

// MaxStream is the most events of one stream that ReadStreams returns. Longer streams (shows) are read
// from a snapshot on, in pages.
const MaxStream = 10_000

// ErrPage: a read asked for less than one or more than MaxPage at once.
var ErrPage = errors.New("log: page size out of range")

func checkPage(n int) error {
	if n < 1 || n > MaxPage {
		return fmt.Errorf("%w: %d, must be 1 to %d", ErrPage, n, MaxPage)
	}
	return nil
}

// ReadAll reads up to limit events after a position, in log order. Fewer than limit means that the head
// was reached. ErrGap if a position is missing.
func (s *Store) ReadAll(ctx context.Context, after int64, limit int) ([]Recorded, error) {
	if err := checkPage(limit); err != nil {
		return nil, err
	}
	rows, err := s.db.QueryContext(ctx, `SELECT `+eventColumns+` FROM events WHERE position > $1 ORDER BY position LIMIT $2`, after, limit)
	events, err := scanEvents(rows, err)
	if err != nil {
		return nil, fmt.Errorf("read the log after %d: %w", after, err)
	}
	if err := checkDense(events, after); err != nil {
		return nil, err
	}
	return events, nil
}

func checkDense(events []Recorded, after int64) error {
	for i := range events {
		if want := after + int64(i) + 1; events[i].Position != want {
			return fmt.Errorf("%w: %d where %d must be", ErrGap, events[i].Position, want)
		}
	}
	return nil
}

// ReadStream reads up to limit events of a stream after a version, in order.
func (s *Store) ReadStream(ctx context.Context, stream string, afterVersion int64, limit int) ([]Recorded, error) {
	if err := checkPage(limit); err != nil {
		return nil, err
	}
	rows, err := s.db.QueryContext(ctx, `SELECT `+eventColumns+` FROM events
		WHERE stream = $1 AND version > $2 ORDER BY version LIMIT $3`, stream, afterVersion, limit)
	events, err := scanEvents(rows, err)
	if err != nil {
		return nil, fmt.Errorf("read stream %s: %w", stream, err)
	}
	return events, nil
}

// ReadStreams reads whole streams, each in order, in one query. A stream without events is not in the
// answer; one with more than MaxStream events is an error.
func (s *Store) ReadStreams(ctx context.Context, streams []string) (map[string][]Recorded, error) {
	if len(streams) == 0 {
		return map[string][]Recorded{}, nil
	}
	if err := checkPage(len(streams)); err != nil {
		return nil, err
	}
	// The inner query with its own ORDER BY keeps the planner on UNIQUE (stream, version), whatever it thinks of the table.
	rows, err := s.db.QueryContext(ctx, `SELECT e.* FROM unnest($1::text[]) AS u(stream) CROSS JOIN LATERAL (
			SELECT `+eventColumns+` FROM events WHERE events.stream = u.stream ORDER BY version LIMIT $2
		) AS e`, TextArray(distinct(streams)), MaxStream+1)
	events, err := scanEvents(rows, err)
	if err != nil {
		return nil, fmt.Errorf("read %d streams: %w", len(streams), err)
	}
	found := make(map[string][]Recorded, len(streams))
	for i := range events {
		found[events[i].Stream] = append(found[events[i].Stream], events[i])
	}
	for stream := range found {
		if len(found[stream]) > MaxStream {
			return nil, fmt.Errorf("read stream %s: more than %d events", stream, MaxStream)
		}
	}
	return found, nil
}

func distinct(values []string) []string {
	seen := make(map[string]struct{}, len(values))
	kept := make([]string, 0, len(values))
	for _, v := range values {
		if _, twice := seen[v]; !twice {
			seen[v] = struct{}{}
			kept = append(kept, v)
		}
	}
	return kept
}

// EventAt is the event at a position; sql.ErrNoRows if there is none.
func (s *Store) EventAt(ctx context.Context, position int64) (Recorded, error) {
	found, err := s.EventsAt(ctx, []int64{position})
	if err != nil {
		return Recorded{}, err
	}
	event, ok := found[position]
	if !ok {
		return Recorded{}, fmt.Errorf("event at %d: %w", position, sql.ErrNoRows)
	}
	return event, nil
}

// EventsAt reads the events at positions; those beyond the head are not in the answer.
func (s *Store) EventsAt(ctx context.Context, positions []int64) (map[int64]Recorded, error) {
	if len(positions) == 0 {
		return map[int64]Recorded{}, nil
	}
	if err := checkPage(len(positions)); err != nil {
		return nil, err
	}
	rows, err := s.db.QueryContext(ctx, `SELECT `+eventColumns+` FROM events WHERE position = ANY($1::bigint[])`, Int8Array(positions))
	events, err := scanEvents(rows, err)
	if err != nil {
		return nil, fmt.Errorf("read %d events: %w", len(positions), err)
	}
	found := make(map[int64]Recorded, len(events))
	for i := range events {
		found[events[i].Position] = events[i]
	}
	return found, nil
}

// scanEvents reads all rows of a query for eventColumns and closes them.
func scanEvents(rows *sql.Rows, err error) ([]Recorded, error) {
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var (
		events         []Recorded
		types          = map[string]string{} // an event type is one string per page, not one per event
		name           sql.RawBytes
		data, metadata sql.RawBytes
		at             time.Time
	)
	for rows.Next() {
		var e Recorded
		if err := rows.Scan(&e.Position, &e.Stream, &e.Version, &name, &e.SchemaVersion, &data, &metadata, &at, &e.Hash); err != nil {
			return nil, err
		}
		known, ok := types[string(name)]
		if !ok {
			known = string(name)
			types[known] = known
		}
		both := make(json.RawMessage, 0, len(data)+len(metadata))
		both = append(append(both, data...), metadata...)
		e.Type, e.RecordedAt = known, at.UTC()
		e.Data, e.Metadata = both[:len(data):len(data)], both[len(data):]
		events = append(events, e)
	}
	return events, rows.Err()
}
