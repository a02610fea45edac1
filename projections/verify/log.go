package verify

import (
	"context"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"boxoffice/eventstore"
)

// postgresLog reads the log with statements of its own, because eventstore refuses to read what is broken.
type postgresLog struct{ db sqlx.QueryerContext }

func (l postgresLog) head(ctx context.Context) (eventstore.Head, error) {
	var head eventstore.Head
	var at any // as in read
	row := l.db.QueryRowxContext(ctx, `SELECT position, time, hash FROM log_head`)
	if err := row.Scan(&head.Position, &at, &head.Hash); err != nil {
		return eventstore.Head{}, fmt.Errorf("read the log's head: %w", err)
	}
	if told, is := at.(time.Time); is {
		head.Time = told.UTC()
	}
	return head, nil
}

const selectEvents = `SELECT position, stream, version, type, schema_version, data, metadata, recorded_at, hash FROM events `

func (l postgresLog) page(ctx context.Context, after int64, limit int) ([]eventstore.Recorded, error) {
	page, err := l.read(ctx, limit, selectEvents+`WHERE position > $1 ORDER BY position LIMIT $2`, after, limit)
	if err != nil {
		return nil, fmt.Errorf("read the log after %d: %w", after, err)
	}
	return page, nil
}

func (l postgresLog) stream(ctx context.Context, name string, after int64, limit int) ([]eventstore.Recorded, error) {
	page, err := l.read(ctx, limit, selectEvents+`WHERE stream = $1 AND version > $2 ORDER BY version LIMIT $3`, name, after, limit)
	if err != nil {
		return nil, fmt.Errorf("read %s after version %d: %w", name, after, err)
	}
	return page, nil
}

func (l postgresLog) read(ctx context.Context, limit int, query string, args ...any) (_ []eventstore.Recorded, err error) {
	rows, err := l.db.QueryxContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() {
		if closing := rows.Close(); err == nil {
			err = closing
		}
	}()
	page := make([]eventstore.Recorded, 0, limit)
	for rows.Next() {
		var e eventstore.Recorded
		var at any // infinity is no time, and a finding
		err := rows.Scan(&e.Position, &e.Stream, &e.Version, &e.Type, &e.SchemaVersion, &e.Data, &e.Metadata, &at, &e.Hash)
		if err != nil {
			return nil, err
		}
		e.RecordedAt, _ = at.(time.Time)
		page = append(page, e)
	}
	return page, rows.Err()
}
