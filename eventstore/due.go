package eventstore

import (
	"context"
	"fmt"
	"time"
)

// DueShows are up to limit shows whose work is due at a time, the longest due first.
func (s *Store) DueShows(ctx context.Context, at time.Time, limit int) ([]int64, error) {
	if err := checkPage(limit); err != nil {
		return nil, err
	}
	var shows []int64
	if err := s.db.SelectContext(ctx, &shows, `SELECT show_id FROM due WHERE at <= $1 ORDER BY at, show_id LIMIT $2`, at, limit); err != nil {
		return nil, fmt.Errorf("read due shows: %w", err)
	}
	return shows, nil
}

// LoadDue reads when shows are due; those with nothing to do are not in the answer.
func (s *Store) LoadDue(ctx context.Context, shows []int64) (map[int64]time.Time, error) {
	found := make(map[int64]time.Time, len(shows))
	if len(shows) == 0 {
		return found, nil
	}
	if err := checkPage(len(shows)); err != nil {
		return nil, err
	}
	var rows []struct {
		ShowID int64     `db:"show_id"`
		At     time.Time `db:"at"`
	}
	if err := s.db.SelectContext(ctx, &rows, `SELECT show_id, at FROM due WHERE show_id = ANY($1::bigint[])`, Int8Array(shows)); err != nil {
		return nil, fmt.Errorf("read when %d shows are due: %w", len(shows), err)
	}
	for _, row := range rows {
		found[row.ShowID] = row.At.UTC()
	}
	return found, nil
}

// SetDue stores due without an append, if head is still the head; else ErrFenced. It locks log_head
// first, as everything does that touches what an append touches. Repeating it does no harm.
func (s *Store) SetDue(ctx context.Context, head Head, due []Due) error {
	if len(due) == 0 {
		return nil
	}
	if head.Hash == nil {
		head.Hash = genesis()
	}
	a := arrays{}
	a.due(due)
	args := a.appendTo([]any{head.Position, head.Hash})
	var current int
	err := s.db.QueryRowContext(ctx, `WITH h AS (
	SELECT 1 FROM log_head WHERE position = $1 AND hash = $2 FOR UPDATE
), d AS (
	INSERT INTO due (show_id, at)
	SELECT u.show_id, u.at FROM h, unnest($3::bigint[], $4::timestamptz[]) AS u(show_id, at)
	ON CONFLICT (show_id) DO UPDATE SET at = excluded.at
), n AS (
	DELETE FROM due USING h, unnest($5::bigint[]) AS u(show_id) WHERE due.show_id = u.show_id
)
SELECT count(*) FROM h`, args...).Scan(&current)
	if err != nil {
		return fmt.Errorf("set what is due: %w", err)
	}
	if current == 0 {
		return ErrFenced
	}
	return nil
}
