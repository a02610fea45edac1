package eventstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/lib/pq"
)

// How long settle waits before it sends a batch again.
const (
	firstWait   = 5 * time.Millisecond
	longestWait = 500 * time.Millisecond
)

// settle sends p until it is known whether it was written.
//
// Sending it twice is safe, because the head leaves p's old head at most once and never comes back: of
// all copies under way at most one is executed. That is also why a look-up alone would prove nothing (a
// copy may still be on its way), while 0 rows prove that no copy can be executed any more. lib/pq and
// database/sql send copies of their own when a connection breaks.
func (s *Store) settle(ctx context.Context, p *pending) (Head, error) {
	for wait := firstWait; ; wait = min(2*wait, longestWait) {
		head, err := s.try(ctx, p)
		if !errors.Is(err, errUnsettled) {
			return head, err
		}
		s.log.WarnContext(ctx, "append not settled, sending it again", "position", p.next.Position, "wait", wait, "error", err)
		select {
		case <-ctx.Done():
			return Head{}, fmt.Errorf("%w: %w", ErrUnknown, err)
		case <-time.After(rand.N(wait) + wait/2): //nolint:gosec // spreads retries, guards nothing
		}
	}
}

// errUnsettled marks an attempt whose outcome is open.
var errUnsettled = errors.New("append not settled")

// try sends p once and judges the answer: p.next, ErrFenced, ErrRefused or errUnsettled.
func (s *Store) try(ctx context.Context, p *pending) (Head, error) {
	written, err := s.attempt(ctx, nil, p)
	if err == nil && written > 0 {
		s.wake.appended()
		return p.next, nil
	}
	refusal := err
	if refusal != nil && !refused(refusal) {
		return Head{}, fmt.Errorf("%w: %w", errUnsettled, refusal)
	}
	// Not written now. But a copy may have been written before, and then it is what fenced or refused this one.
	landed, err := s.landed(ctx, p)
	switch {
	case err != nil && refusal == nil:
		return Head{}, fmt.Errorf("%w: %w", errUnsettled, err)
	case err != nil && !refused(err):
		return Head{}, fmt.Errorf("%w: %w", errUnsettled, err)
	case err == nil && landed:
		s.wake.appended()
		return p.next, nil
	case refusal == nil:
		return Head{}, ErrFenced
	default:
		return Head{}, fmt.Errorf("%w: %w", ErrRefused, refusal)
	}
}

// landed says whether the row at the position p would have ended at is p's.
func (s *Store) landed(ctx context.Context, p *pending) (bool, error) {
	var hash []byte
	err := s.db.QueryRowContext(ctx, `SELECT hash FROM events WHERE position = $1`, p.next.Position).Scan(&hash)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for the batch: %w", err)
	}
	return string(hash) == string(p.next.Hash), nil
}

// refused says whether Postgres has judged the content, so that the same batch would be refused again.
// Everything else (connections, shut-downs, missing resources, time limits, a server that is read-only
// after a failover) says nothing about it.
func refused(err error) bool {
	var answer *pq.Error
	if !errors.As(err, &answer) {
		return false
	}
	switch answer.Code.Class() {
	case "21", // cardinality violation
		"22", // data exception
		"23", // integrity constraint violation
		"42", // syntax error or access rule violation
		"54": // program limit exceeded
		return true
	default:
		return false
	}
}
