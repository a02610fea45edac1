package eventstore

import (
	"context"
	"fmt"
)

// Contacts reads who stands behind the orders placed at positions. Positions without one are not in the
// answer; a forgotten customer's fields are empty.
func (s *Store) Contacts(ctx context.Context, positions []int64) (map[int64]Contact, error) {
	found := make(map[int64]Contact, len(positions))
	if len(positions) == 0 {
		return found, nil
	}
	if err := checkPage(len(positions)); err != nil {
		return nil, err
	}
	var rows []Contact
	if err := s.db.SelectContext(ctx, &rows, `SELECT position, customer_ref, customer_id, email, name
		FROM contacts WHERE position = ANY($1::bigint[])`, Int8Array(positions)); err != nil {
		return nil, fmt.Errorf("read %d contacts: %w", len(positions), err)
	}
	for i := range rows {
		found[rows[i].Position] = rows[i]
	}
	return found, nil
}

// CustomerKey is the secret of this database that customerRef is made with, 32 bytes, never changed.
func (s *Store) CustomerKey(ctx context.Context) ([]byte, error) {
	var key []byte
	if err := s.db.QueryRowContext(ctx, `SELECT key FROM customer_key`).Scan(&key); err != nil {
		return nil, fmt.Errorf("read the customer key: %w", err)
	}
	return key, nil
}
