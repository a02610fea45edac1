package verify

import (
	"context"
	"fmt"

	"github.com/jmoiron/sqlx"

	"boxoffice/eventstore"
)

// postgresLog reads the log with statements of its own, because eventstore refuses to read what is broken.
type postgresLog struct{ db *sqlx.DB }

func (l postgresLog) head(ctx context.Context) (eventstore.Head, error) {
	var head eventstore.Head
	row := l.db.QueryRowxContext(ctx, `SELECT position, time, hash FROM log_head`)
	if err := row.Scan(&head.Position, &head.Time, &head.Hash); err != nil {
		return eventstore.Head{}, fmt.Errorf("read the log's head: %w", err)
	}
	head.Time = head.Time.UTC()
	return head, nil
}

func (l postgresLog) page(ctx context.Context, after int64, limit int) (_ []eventstore.Recorded, err error) {
	rows, err := l.db.QueryxContext(ctx, `
SELECT position, stream, version, type, schema_version, data, metadata, recorded_at, hash
FROM events WHERE position > $1 ORDER BY position LIMIT $2`, after, limit)
	if err != nil {
		return nil, fmt.Errorf("read the log after %d: %w", after, err)
	}
	defer func() {
		if closing := rows.Close(); err == nil && closing != nil {
			err = fmt.Errorf("read the log after %d: %w", after, closing)
		}
	}()
	page := make([]eventstore.Recorded, 0, limit)
	for rows.Next() {
		var e eventstore.Recorded
		err := rows.Scan(&e.Position, &e.Stream, &e.Version, &e.Type, &e.SchemaVersion, &e.Data, &e.Metadata, &e.RecordedAt, &e.Hash)
		if err != nil {
			return nil, fmt.Errorf("read the log after %d: %w", after, err)
		}
		page = append(page, e)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read the log after %d: %w", after, err)
	}
	return page, nil
}
