package projections

import (
	"context"
	"sync/atomic"
	"time"
)

// topic is a row that somebody watches. What is not atomic is guarded by the feed's mutex.
type topic[T any] struct {
	now      atomic.Pointer[moment[T]]
	watchers int
	arriving *arrival      // those who came since the last look began; nil: nobody
	due      time.Time     // while it is hurried: of its next look
	pause    time.Duration // while it is hurried: to the look after that
}

// moment is a row as it was last seen.
type moment[T any] struct {
	seen[T]
	changed chan struct{} // closed when the row is seen at another version
}

// arrival is some watchers who wait for their first look, which must have begun after they came: what they have
// read before is never newer than what they see.
type arrival struct {
	done chan struct{}
	err  error // read after done
}

// take begins a look at the topic; who comes from now on waits for the next.
func (t *topic[T]) take(key string) one[T] {
	came := t.arriving
	t.arriving = nil
	return one[T]{key: key, topic: t, came: came}
}

// show puts what was read before the watchers. They are woken only by another version.
func (t *topic[T]) show(s seen[T]) {
	was := t.now.Load()
	if s.version == was.version {
		t.now.Store(&moment[T]{s, was.changed})
		return
	}
	t.now.Store(&moment[T]{s, make(chan struct{})})
	close(was.changed)
}

// watcher is one who watches a row, until it leaves. It is for one goroutine.
type watcher[T any] struct {
	feed  *feed[T]
	key   string
	topic *topic[T]
	came  *arrival
}

// watch begins to watch a row; whoever does must leave.
func (f *feed[T]) watch(ctx context.Context, key string) *watcher[T] {
	f.mu.Lock()
	defer f.mu.Unlock()
	t := f.watched[key]
	if t == nil {
		t = &topic[T]{}
		t.now.Store(&moment[T]{changed: make(chan struct{})})
		f.watched[key] = t
	}
	t.watchers++
	if t.arriving == nil {
		t.arriving = &arrival{done: make(chan struct{})}
	}
	f.soon(key, t, lookEvery)
	if f.looking == nil {
		f.looking = &looking{wake: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{})}
		// It looks for whoever watches, so it does not end with the first.
		go f.run(context.WithoutCancel(ctx), f.looking)
	}
	f.looking.call()
	return &watcher[T]{feed: f, key: key, topic: t, came: t.arriving}
}

// soon has a row looked at now, and again after the pause.
func (f *feed[T]) soon(key string, t *topic[T], pause time.Duration) {
	if f.hurried[key] == nil || pause < t.pause {
		t.pause = pause
	}
	t.due = time.Time{}
	f.hurried[key] = t
}

// call wakes whoever looks.
func (l *looking) call() {
	select {
	case l.wake <- struct{}{}:
	default: // it is about to look
	}
}

// first waits until the row was looked at for this watcher. Errors: the look failed, or ctx ended.
func (w *watcher[T]) first(ctx context.Context) error {
	select {
	case <-w.came.done:
		return w.came.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// now is the row as it was last seen; version 0: it is not there, or nobody has looked yet.
func (w *watcher[T]) now() *moment[T] { return w.topic.now.Load() }

// await waits until the row is at a version or above and reports whether it is; not so if ctx ends before. It
// has the row looked at more often for a while.
func (w *watcher[T]) await(ctx context.Context, version int64) bool {
	w.feed.mu.Lock()
	w.feed.soon(w.key, w.topic, firstLook)
	w.feed.looking.call()
	w.feed.mu.Unlock()
	for {
		now := w.now()
		if now.version >= version {
			return true
		}
		select {
		case <-now.changed:
		case <-ctx.Done():
			return false
		}
	}
}

// leave ends the watching. The last one waits until nobody looks any more.
func (w *watcher[T]) leave() {
	f := w.feed
	f.mu.Lock()
	if w.topic.watchers--; w.topic.watchers == 0 {
		delete(f.watched, w.key)
		delete(f.hurried, w.key)
	}
	var ending *looking
	if len(f.watched) == 0 {
		ending, f.looking = f.looking, nil
		close(ending.stop)
	}
	f.mu.Unlock()
	if ending != nil {
		<-ending.done
	}
}
