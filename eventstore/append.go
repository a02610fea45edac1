package eventstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Limits of one append. A batch beyond them is refused, so that its writer halves it.
const (
	MaxBatchEvents = 16_384
	MaxBatchBytes  = 32 << 20 // of streams, types, data, metadata and deliveries
)

// Append writes b if b.Head is still the head, in one statement and one round trip. The new head comes
// back when, and only when, all of b is durable. An outcome that was lost on the way (a connection that
// broke, a server that went down) is found out by sending the same batch again, as long as ctx lives.
//
// Errors: ErrFenced, ErrRefused (nothing was written), ErrUnknown (ctx ended first; only the same batch
// may be sent again). Any other error means that nothing was written and the batch is at fault.
func (s *Store) Append(ctx context.Context, b Batch) (Head, error) {
	p, err := newPending(&b)
	if err != nil {
		return Head{}, err
	}
	defer s.encode(p, &b)()
	if err := ctx.Err(); err != nil {
		return Head{}, fmt.Errorf("append: %w", err)
	}
	return s.settle(ctx, p)
}

// pending is a batch as it goes over the wire, the same at every attempt.
type pending struct {
	next  Head // the head it makes
	count int64
	kind  appendKind
	args  []any
}

// newPending checks what only a programming error can get wrong, and chains.
func newPending(b *Batch) (*pending, error) {
	at := b.Time.UTC().Truncate(time.Microsecond)
	switch {
	case len(b.Events) == 0:
		return nil, errors.New("append: batch without events")
	case at.Before(b.Head.Time):
		return nil, fmt.Errorf("append: time %s is before the head's %s", at.Format(time.RFC3339Nano), b.Head.Time.Format(time.RFC3339Nano))
	case b.Head.Hash == nil && b.Head.Position != 0:
		return nil, errors.New("append: head without hash")
	case len(b.Events) > MaxBatchEvents:
		return nil, fmt.Errorf("%w: %d events, at most %d", ErrRefused, len(b.Events), MaxBatchEvents)
	}
	if size := b.size(); size > MaxBatchBytes {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrRefused, size, MaxBatchBytes)
	}
	if err := b.checkIndexes(); err != nil {
		return nil, err
	}
	old := b.Head.Hash
	if old == nil {
		old = genesis()
	}
	p := &pending{count: int64(len(b.Events)), kind: kindOf(b)}
	p.next = Head{
		Position: b.Head.Position + p.count,
		Time:     at,
		Hash:     Chain(old, b.Events, at, b.Head.Position+1),
	}
	p.args = append(make([]any, 0, 20), p.next.Position, at, p.next.Hash, b.Head.Position, old)
	return p, nil
}

func (b *Batch) size() int {
	size := 0
	for i := range b.Events {
		e := &b.Events[i]
		size += len(e.Stream) + len(e.Type) + len(e.Data) + len(e.Metadata)
	}
	for i := range b.Deliveries {
		size += len(b.Deliveries[i].Body)
	}
	return size
}

func (b *Batch) checkIndexes() error {
	for i := range b.Contacts {
		if at := b.Contacts[i].Index; at < 0 || at >= len(b.Events) {
			return fmt.Errorf("append: contact %d belongs to event %d of %d", i, at, len(b.Events))
		}
	}
	for i := range b.Deliveries {
		if at := b.Deliveries[i].Index; at < 0 || at >= len(b.Events) {
			return fmt.Errorf("append: delivery %d belongs to event %d of %d", i, at, len(b.Events))
		}
	}
	shows := make(map[int64]struct{}, len(b.Due))
	for i := range b.Due {
		if _, twice := shows[b.Due[i].ShowID]; twice {
			return fmt.Errorf("append: show %d is due twice", b.Due[i].ShowID)
		}
		shows[b.Due[i].ShowID] = struct{}{}
	}
	return nil
}

// attempt sends the batch once, inside tx if there is one. The count of events written is all of them
// or none.
func (s *Store) attempt(ctx context.Context, tx *sql.Tx, p *pending) (int64, error) {
	stmts, err := s.statements(ctx)
	if err != nil {
		return 0, err
	}
	stmt := stmts[p.kind]
	if tx != nil {
		stmt = tx.StmtContext(ctx, stmt)
		defer func() { _ = stmt.Close() }()
	}
	var written, micros int64
	sent := s.clock.local()
	if err := stmt.QueryRowContext(ctx, p.args...).Scan(&written, &micros); err != nil {
		return 0, err
	}
	s.clock.learn(sent, s.clock.local(), time.UnixMicro(micros))
	if written != 0 && written != p.count {
		return 0, fmt.Errorf("append wrote %d of %d events", written, p.count)
	}
	return written, nil
}

// statements prepares all forms of the append at the first call; database/sql prepares them again on
// other connections. A turn calls it before it takes a connection, so it never needs a second one.
func (s *Store) statements(ctx context.Context) (*[appendKinds]*sql.Stmt, error) {
	if stmts := s.prepared.Load(); stmts != nil {
		return stmts, nil
	}
	var stmts [appendKinds]*sql.Stmt
	for kind := range stmts {
		stmt, err := s.db.PrepareContext(ctx, appendKind(kind).sql()) //nolint:sqlclosecheck // kept for the store's life, like its pool
		if err != nil {
			for _, done := range stmts[:kind] {
				_ = done.Close()
			}
			return nil, fmt.Errorf("prepare append: %w", err)
		}
		stmts[kind] = stmt
	}
	if !s.prepared.CompareAndSwap(nil, &stmts) {
		for _, twin := range stmts {
			_ = twin.Close()
		}
	}
	return s.prepared.Load(), nil
}
