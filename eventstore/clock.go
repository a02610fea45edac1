package eventstore

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// clock is the database's clock as this process knows it: its own, which only runs forward at an even
// pace (the monotonic reading, so a step of the local clock does not matter), plus an offset that is
// learned whenever the database says its time.
type clock struct {
	mu     sync.Mutex
	start  time.Time     // with a monotonic reading
	offset time.Duration // database − local; 0 until the database proves it wrong
	last   time.Time     // what now answered last
}

func newClock() *clock { return &clock{start: time.Now()} }

// local is the time of this process, unmoved by steps of the machine's clock.
func (c *clock) local() time.Duration { return time.Since(c.start) }

// now never answers an earlier time than before.
func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.start.Add(c.local() + c.offset).Round(0).UTC().Truncate(time.Microsecond)
	if now.Before(c.last) {
		return c.last
	}
	c.last = now
	return now
}

// learn takes the database's time, which it said at some moment between sent and received. The offset
// moves only as far as that proves it wrong, so a slow answer does not spoil what a quick one taught.
func (c *clock) learn(sent, received time.Duration, database time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := database.Sub(c.start.Round(0))
	least, most := at-received, at-sent
	c.offset = min(max(c.offset, least), most)
}

// Now is the database's time in UTC, in whole microseconds, as far as this process has learned it: at
// every append, at every Head and by SyncClock. It never runs backwards.
func (s *Store) Now() time.Time { return s.clock.now() }

// clockReadings is how often SyncClock asks; the quickest answers narrow the offset most.
const clockReadings = 3

// SyncClock asks the database for its time.
func (s *Store) SyncClock(ctx context.Context) error {
	for range clockReadings {
		sent := s.clock.local()
		var micros int64
		if err := s.db.QueryRowContext(ctx, `SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint`).Scan(&micros); err != nil {
			return fmt.Errorf("read the database's clock: %w", err)
		}
		s.clock.learn(sent, s.clock.local(), time.UnixMicro(micros))
	}
	return nil
}
