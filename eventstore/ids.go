package eventstore

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// LeaseOrderIDs takes n ids of a UTC day for this process alone: first, first+1 … first+n-1. Ids start
// at 1. What a process does not use is never used; a day has 2³²−1 of them.
func (s *Store) LeaseOrderIDs(ctx context.Context, day time.Time, n uint32) (first uint32, err error) {
	if n == 0 {
		return 0, errors.New("lease order ids: none asked for")
	}
	// A connection that breaks may make this run twice. Then a range is lost, and none is leased twice.
	var lease int64
	err = s.db.QueryRowContext(ctx, `INSERT INTO order_ids (day, next) VALUES ($1::date, 1 + $2::bigint)
		ON CONFLICT (day) DO UPDATE SET next = order_ids.next + $2::bigint
		RETURNING next - $2::bigint`, day.UTC().Format(time.DateOnly), int64(n)).Scan(&lease)
	if err != nil {
		return 0, fmt.Errorf("lease %d order ids of %s: %w", n, day.UTC().Format(time.DateOnly), err)
	}
	return uint32(lease), nil // the table's CHECK keeps next within 32 bits
}
