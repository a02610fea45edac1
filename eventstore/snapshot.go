package eventstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// Snapshot is a stream's folded state. It only saves time: whoever can't read it reads the stream.
type Snapshot struct {
	Stream   string
	Version  int64 // of the last event folded
	Position int64 // of the last event folded
	Format   int   // of Data and of the fold that made it; other formats are not read
	Data     []byte
}

// SaveSnapshot keeps one snapshot per stream: this one, unless a newer one of its format is there.
func (s *Store) SaveSnapshot(ctx context.Context, snapshot Snapshot) error {
	data := snapshot.Data
	if data == nil {
		data = []byte{}
	}
	_, err := s.db.ExecContext(ctx, `INSERT INTO snapshots (stream, version, position, format, data) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (stream) DO UPDATE SET version = excluded.version, position = excluded.position, format = excluded.format, data = excluded.data
		WHERE snapshots.format <> excluded.format OR snapshots.version < excluded.version`,
		snapshot.Stream, snapshot.Version, snapshot.Position, snapshot.Format, data)
	if err != nil {
		return fmt.Errorf("save snapshot of %s: %w", snapshot.Stream, err)
	}
	return nil
}

// LoadSnapshot finds a stream's snapshot; false if there is none of this format.
func (s *Store) LoadSnapshot(ctx context.Context, stream string, format int) (Snapshot, bool, error) {
	snapshot := Snapshot{Stream: stream, Format: format}
	err := s.db.QueryRowContext(ctx, `SELECT version, position, data FROM snapshots WHERE stream = $1 AND format = $2`, stream, format).
		Scan(&snapshot.Version, &snapshot.Position, &snapshot.Data)
	if errors.Is(err, sql.ErrNoRows) {
		return Snapshot{}, false, nil
	}
	if err != nil {
		return Snapshot{}, false, fmt.Errorf("load snapshot of %s: %w", stream, err)
	}
	return snapshot, true, nil
}
