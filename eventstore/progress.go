package eventstore

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// Progress is how far the log and its readers are, at one moment.
type Progress struct {
	At          time.Time // the database's time of the reading, UTC
	Head        int64     // last position of the log; 0 while it is empty
	HeadAt      time.Time // time of the last append
	Relayed     int64     // last position that the relay has published
	OldestAt    time.Time // when the first event behind Relayed was recorded; zero: all are published
	Checkpoints []Checkpoint
}

// Checkpoint is how far a projection has come in one partition.
type Checkpoint struct {
	Name       string    `db:"name"` // of the projection
	Topic      string    `db:"topic"`
	Partition  int32     `db:"partition"`
	NextOffset int64     `db:"next_offset"` // of Kafka: the message that is read next
	Position   int64     `db:"position"`    // of the last event that was applied; 0: none
	UpdatedAt  time.Time `db:"updated_at"`
}

// Unpublished is how many events of the log wait for the relay.
func (p Progress) Unpublished() int64 { return max(p.Head-p.Relayed, 0) }

// Waiting is how long the oldest unpublished event has been in the log; 0 if all are published.
func (p Progress) Waiting() time.Duration {
	if p.OldestAt.IsZero() {
		return 0
	}
	return max(p.At.Sub(p.OldestAt), 0)
}

// Progress reads how far the log, the relay and the projections are, in one short statement each.
func (s *Store) Progress(ctx context.Context) (Progress, error) {
	var p Progress
	var oldest sql.NullTime
	err := s.db.QueryRowContext(ctx, `SELECT clock_timestamp(), h.position, h.time, coalesce(c.position, 0), e.recorded_at
		FROM log_head AS h
		LEFT JOIN checkpoints AS c ON c.name = 'relay' AND c.topic = '' AND c.partition = 0
		LEFT JOIN events AS e ON e.position = coalesce(c.position, 0) + 1`).Scan(&p.At, &p.Head, &p.HeadAt, &p.Relayed, &oldest)
	if err != nil {
		return Progress{}, fmt.Errorf("read how far the relay is: %w", err)
	}
	p.At, p.HeadAt = p.At.UTC(), p.HeadAt.UTC()
	if oldest.Valid {
		p.OldestAt = oldest.Time.UTC()
	}
	if err := s.db.SelectContext(ctx, &p.Checkpoints, `SELECT name, topic, partition, next_offset, position, updated_at
		FROM checkpoints WHERE topic <> '' ORDER BY name, topic, partition`); err != nil {
		return Progress{}, fmt.Errorf("read how far the projections are: %w", err)
	}
	return p, nil
}
