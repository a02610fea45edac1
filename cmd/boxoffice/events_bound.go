package main

import (
	"context"
	"errors"
	"strconv"
	"time"

	"boxoffice/eventstore"
)

// settleAfter is how long after a time, at most, an event of that time may still come into the log.
const settleAfter = 5 * time.Second

// logBound is where a range of the log begins or ends: at a position or at a time. The zero value bounds nothing.
type logBound struct {
	position int64
	time     time.Time
	timed    bool // it is a time, whichever; the year 1 is one too
}

// errBound is told by the flag in words of its own.
var errBound = errors.New("neither a position nor a time")

// Set reads the flag's value.
func (b *logBound) Set(text string) error {
	if position, err := strconv.ParseInt(text, 10, 64); err == nil && position >= 0 {
		*b = logBound{position: position}
		return nil
	}
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return errBound
	}
	*b = logBound{time: at.UTC(), timed: true}
	return nil
}

// String is the bound as it may be given.
func (b *logBound) String() string {
	if b.timed {
		return b.time.Format(time.RFC3339Nano)
	}
	return strconv.FormatInt(b.position, 10)
}

// Type says in help and refusals what the flag takes.
func (b *logBound) Type() string { return "position of the log or a time like 2025-02-05T12:00:00Z" }

// before reports whether nothing can be between from and b, as far as that is known without the log.
func (b *logBound) before(from logBound) bool {
	if b.timed && from.timed {
		return b.time.Before(from.time)
	}
	return b.position > 0 && b.position < from.position
}

// positionBefore is the last position before the bound, as a first one; times are whole microseconds in the log.
func (b *logBound) positionBefore(ctx context.Context, store *eventstore.Store) (int64, error) {
	if !b.timed {
		return max(b.position-1, 0), nil
	}
	return store.PositionAt(ctx, b.time.Add(-time.Nanosecond).Truncate(time.Microsecond))
}

// isAfter reports whether an event comes before the bound, as a first one.
func (b *logBound) isAfter(e *eventstore.Recorded) bool {
	return e.Position < b.position || e.RecordedAt.Before(b.time)
}

// isBefore reports whether an event comes after the bound, as a last one.
func (b *logBound) isBefore(e *eventstore.Recorded) bool {
	return b.position > 0 && e.Position > b.position || b.timed && e.RecordedAt.After(b.time)
}

// isReached reports whether nothing can come any more up to the bound, as a last one.
func (b *logBound) isReached(head eventstore.Head, now time.Time) bool {
	if !b.timed {
		return b.position > 0 && head.Position >= b.position
	}
	return head.Time.After(b.time) || now.After(b.time.Add(settleAfter))
}
