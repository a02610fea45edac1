package eventstore

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/lib/pq"
)

const (
	notifyChannel = "boxoffice_appended"
	// notifyEvery is the least time between two NOTIFYs of a process. A NOTIFY takes a lock of the whole
	// cluster when it commits, so it is never part of an append.
	notifyEvery       = 10 * time.Millisecond
	listenReconnect   = 100 * time.Millisecond
	listenReconnected = time.Second      // the longest wait between attempts to listen again
	listenPing        = 30 * time.Second // how often a silent connection is asked whether it lives
)

// wakes tells readers that the log has grown. A wake may come for nothing, and after a broken connection
// one may be missing: it shortens polling and does not replace it.
type wakes struct {
	self string // tells our own notifications from others'
	grew chan struct{}

	mu   sync.Mutex
	subs map[chan struct{}]struct{}
}

func newWakes(self string) *wakes {
	return &wakes{self: self, grew: make(chan struct{}, 1), subs: map[chan struct{}]struct{}{}}
}

// appended is called after an append of this process.
func (w *wakes) appended() {
	w.all()
	poke(w.grew)
}

func (w *wakes) all() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for sub := range w.subs {
		poke(sub)
	}
}

// poke leaves a wake if none is waiting.
func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Appended gives a channel that has a value whenever the log has grown since it was last read, by an
// append of this process or, while Run runs, of another one. stop ends it.
func (s *Store) Appended() (c <-chan struct{}, stop func()) {
	sub := make(chan struct{}, 1)
	s.wake.mu.Lock()
	defer s.wake.mu.Unlock()
	s.wake.subs[sub] = struct{}{}
	return sub, func() {
		s.wake.mu.Lock()
		defer s.wake.mu.Unlock()
		delete(s.wake.subs, sub)
	}
}

// Run tells other processes of this one's appends and this one of theirs, until ctx ends. Without it
// everything works, at the pace of polling. It returns nil when ctx ends.
func (s *Store) Run(ctx context.Context) error {
	var listening sync.WaitGroup
	if s.url != "" {
		listening.Go(func() { s.listen(ctx) })
	}
	defer listening.Wait()
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-pause.C: // never sooner than notifyEvery after the last one
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.wake.grew:
		}
		if err := s.notify(ctx); err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "other processes were not told of an append and will find it when they poll", "error", err)
		}
		pause.Reset(notifyEvery)
	}
}

// notify is one statement and one round trip. It need not survive a crash, so it does not wait for the disk.
func (s *Store) notify(ctx context.Context) error {
	if _, err := s.db.ExecContext(ctx, `SELECT set_config('synchronous_commit', 'off', true), pg_notify($1, $2)`,
		notifyChannel, s.wake.self); err != nil {
		return fmt.Errorf("notify: %w", err)
	}
	return nil
}

// listen wakes readers for other processes' appends until ctx ends.
func (s *Store) listen(ctx context.Context) {
	listener := pq.NewDialListener(dialer{}, s.url, listenReconnect, listenReconnected, nil)
	var starting sync.WaitGroup
	starting.Go(func() {
		// Blocks until there is a connection or the listener is closed; reconnects listen by themselves.
		if err := listener.Listen(notifyChannel); err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "not listening for other processes' appends", "error", err)
		}
	})
	defer starting.Wait()
	defer func() {
		_ = listener.Close()
		for range listener.NotificationChannel() { //nolint:revive // its end is the end of the listener's goroutines
		}
	}()
	ping := time.NewTicker(listenPing)
	defer ping.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case n, ok := <-listener.NotificationChannel():
			if !ok {
				return
			}
			if n == nil || n.Extra != s.wake.self { // nil: connected again, and something may have been missed
				s.wake.all()
			}
		case <-ping.C:
			_ = listener.Ping() // a dead connection is replaced by this
		}
	}
}
