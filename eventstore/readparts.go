package eventstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"
)

// Parts says whose events' data a reader of the whole log is interested in.
type Parts struct {
	All      bool     // every event's
	Prefixes []string // of streams' names, such as show-
	Types    []string // events of these types, whatever their stream
}

// ReadParts reads for who folds the log: of the events after a position and up to another, which must be there, those
// that parts names, without metadata and hashes. ErrGap if any position of the range is missing, whatever stands there.
func (s *Store) ReadParts(ctx context.Context, after, upTo int64, parts Parts) ([]Recorded, error) {
	if err := checkPage(int(upTo - after)); err != nil {
		return nil, err
	}
	fail := func(err error) ([]Recorded, error) {
		return nil, fmt.Errorf("read the log after %d: %w", after, err)
	}
	// Counting is much cheaper than fetching events only to see that they are there.
	var there int64
	if err := s.db.GetContext(ctx, &there, `SELECT count(*) FROM events WHERE position > $1 AND position <= $2`, after, upTo); err != nil {
		return fail(err)
	}
	if there != upTo-after {
		return nil, fmt.Errorf("%w: %d events from %d to %d", ErrGap, there, after+1, upTo)
	}
	rows, err := s.db.QueryContext(ctx, `SELECT position, stream, version, type, schema_version, recorded_at, data
		FROM events WHERE position > $1 AND position <= $2
			AND ($5 OR stream ^@ ANY($3::text[]) OR type = ANY($4::text[])) ORDER BY position`,
		after, upTo, TextArray(parts.Prefixes), TextArray(parts.Types), parts.All)
	if err != nil {
		return fail(err)
	}
	events, err := scanParts(rows, int(there))
	if err != nil {
		return fail(err)
	}
	return events, nil
}

// slabSize is how many bytes of data are allocated at once.
const slabSize = 256 << 10

func scanParts(rows *sql.Rows, limit int) ([]Recorded, error) {
	defer func() { _ = rows.Close() }()
	var (
		events     = make([]Recorded, 0, limit)
		types      = map[string]string{}
		name, data sql.RawBytes
		at         time.Time
		slab       []byte // one allocation holds the data of many events
	)
	for rows.Next() {
		var e Recorded
		if err := rows.Scan(&e.Position, &e.Stream, &e.Version, &name, &e.SchemaVersion, &at, &data); err != nil {
			return nil, err
		}
		known, ok := types[string(name)]
		if !ok {
			known = string(name)
			types[known] = known
		}
		e.Type, e.RecordedAt = known, at.UTC()
		if cap(slab)-len(slab) < len(data) {
			slab = make([]byte, 0, max(slabSize, len(data)))
		}
		from := len(slab)
		slab = append(slab, data...)
		e.Data = json.RawMessage(slab[from:len(slab):len(slab)])
		events = append(events, e)
	}
	return events, rows.Err()
}
