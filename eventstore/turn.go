package eventstore

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"time"
)

// A turn holds the head's lock, so everybody else waits for it. Postgres ends one that stalls: after a
// second without a statement, after three of waiting for the lock, after five of one statement.
const turnSettings = `SET LOCAL idle_in_transaction_session_timeout = '1s'; SET LOCAL lock_timeout = '3s'; SET LOCAL statement_timeout = '5s'`

// Turn appends what decide makes of the log at its very head: it locks the head, reads the tail after
// known, lets decide see both, and appends the batch before anybody else can. It returns the head after
// it. decide runs once, must be quick (see turnSettings), and answers a batch on the head it was given,
// or nil if there is nothing to write; its error ends the turn and comes back as it is.
//
// Errors besides those of Append: ErrTailTooLong (read up to the head with Tail and try again),
// ErrReplaced. Any error but ErrUnknown means that nothing was written.
func (s *Store) Turn(ctx context.Context, known Head, decide func(head Head, tail []Recorded) (*Batch, error)) (Head, error) {
	if _, err := s.statements(ctx); err != nil {
		return Head{}, err
	}
	tx, err := s.db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelReadCommitted})
	if err != nil {
		return Head{}, fmt.Errorf("turn: begin: %w", err)
	}
	defer func() { _ = tx.Rollback() }()
	head, err := s.lockHead(ctx, tx)
	if err != nil {
		return Head{}, err
	}
	if head.Position < known.Position {
		return head, fmt.Errorf("%w: its head is %d, after %d was known", ErrReplaced, head.Position, known.Position)
	}
	if head.Position-known.Position > s.turnTail {
		return head, fmt.Errorf("%w: %d events", ErrTailTooLong, head.Position-known.Position)
	}
	tail, err := tailAfter(ctx, tx, known, head)
	if err != nil {
		return head, err
	}
	batch, err := decide(head, tail)
	if err != nil || batch == nil {
		return head, err
	}
	if batch.Head.Position != head.Position || !bytes.Equal(batch.Head.Hash, head.Hash) {
		return head, fmt.Errorf("turn: the batch was decided on position %d, the head is %d", batch.Head.Position, head.Position)
	}
	p, err := newPending(batch)
	if err != nil {
		return head, err
	}
	defer s.encode(p, batch)()
	return s.commit(ctx, tx, p)
}

func (s *Store) lockHead(ctx context.Context, tx *sql.Tx) (Head, error) {
	if _, err := tx.ExecContext(ctx, turnSettings); err != nil {
		return Head{}, fmt.Errorf("turn: settings: %w", err)
	}
	sent := s.clock.local()
	head, micros, err := scanHead(tx.QueryRowContext(ctx, `SELECT `+headColumns+` FROM log_head FOR UPDATE`))
	if err != nil {
		return Head{}, fmt.Errorf("turn: lock the head: %w", err)
	}
	s.clock.learn(sent, s.clock.local(), time.UnixMicro(micros))
	return head, nil
}

// tailAfter reads the events from known (excluded) to head, under the head's lock.
func tailAfter(ctx context.Context, tx *sql.Tx, known, head Head) ([]Recorded, error) {
	if head.Position == known.Position {
		return nil, checkKnown(known, head.Position, head.Hash)
	}
	rows, err := tx.QueryContext(ctx, selectTail, known.Position, head.Position-known.Position+1)
	tail, err := scanEvents(rows, err)
	if err != nil {
		return nil, fmt.Errorf("turn: read the tail after %d: %w", known.Position, err)
	}
	tail, err = cutTail(known, tail)
	if err != nil {
		return nil, err
	}
	if last := known.Position + int64(len(tail)); last != head.Position {
		return nil, fmt.Errorf("%w: the log ends at %d, its head says %d", ErrGap, last, head.Position)
	}
	return tail, nil
}

// commit ends the turn. If its outcome is lost, the batch is settled like any append: this transaction
// either committed (then it is found by its hash), or Postgres ends it within a second and the batch can
// still go in.
func (s *Store) commit(ctx context.Context, tx *sql.Tx, p *pending) (Head, error) {
	written, err := s.attempt(ctx, tx, p)
	switch {
	case err == nil && written == 0:
		return Head{}, fmt.Errorf("turn: %w under its lock", ErrFenced)
	case err == nil:
		if err = tx.Commit(); err == nil {
			s.wake.appended()
			return p.next, nil
		}
	case refused(err):
		return Head{}, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	s.log.WarnContext(ctx, "turn not settled, appending its batch again", "position", p.next.Position, "error", err)
	_ = tx.Rollback()
	return s.settle(ctx, p)
}
