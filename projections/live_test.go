package projections

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// lookedAt is a source of a test.
type lookedAt struct {
	mu     sync.Mutex
	rows   map[string]int64
	fault  error
	looks  []time.Time   // of each query, for versions or rows
	most   int           // keys of one query
	loads  int           // of rows
	during func()        // a load has read and is not done yet
	slow   time.Duration // of each query
}

func (b *lookedAt) put(key string, version int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rows[key] = version
}

// raise puts a version if it is above the one that is there.
func (b *lookedAt) raise(key string, version int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rows[key] = max(b.rows[key], version)
}

func (b *lookedAt) fail(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fault = err
}

// count is the number of queries so far.
func (b *lookedAt) count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.looks)
}

func (b *lookedAt) query(keys []string) (map[string]int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.looks = append(b.looks, time.Now())
	b.most = max(b.most, len(keys))
	if b.fault != nil {
		return nil, b.fault
	}
	found := maps.Clone(b.rows)
	maps.DeleteFunc(found, func(key string, _ int64) bool { return !slices.Contains(keys, key) })
	return found, nil
}

func (b *lookedAt) source() source[string] {
	return source[string]{
		versions: func(_ context.Context, keys []string) (map[string]int64, error) {
			found, err := b.query(keys)
			time.Sleep(b.slow)
			return found, err
		},
		load: func(_ context.Context, keys []string) (map[string]seen[string], error) {
			found, err := b.query(keys)
			b.mu.Lock()
			b.loads++
			during := b.during
			b.mu.Unlock()
			if during != nil {
				during()
			}
			rows := map[string]seen[string]{}
			for key, version := range found {
				rows[key] = seen[string]{version, fmt.Sprint(key, version)}
			}
			return rows, err
		},
	}
}

func newTable(rows map[string]int64) (*lookedAt, *feed[string]) {
	b := &lookedAt{rows: rows}
	return b, newFeed(b.source(), slog.New(slog.DiscardHandler))
}

// came is a watcher who has seen the row.
func came(t *testing.T, f *feed[string], key string) *watcher[string] {
	t.Helper()
	w := f.watch(t.Context(), key)
	if err := w.first(t.Context()); err != nil {
		t.Fatal(err)
	}
	return w
}

func TestHoweverManyWatchOneLooks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, f := newTable(map[string]int64{"a": 1, "b": 5})
		var watchers []*watcher[string]
		for i := range 500 {
			watchers = append(watchers, f.watch(t.Context(), []string{"a", "b"}[i%2]))
		}
		for _, w := range watchers {
			if err := w.first(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if n := b.count(); n > 2 {
			t.Errorf("%d queries for 500 who came together", n)
		}
		before := b.count()
		time.Sleep(10 * time.Second)
		if n := b.count() - before; n > 101 {
			t.Errorf("%d queries in 10 s", n)
		}
		b.mu.Lock()
		if b.loads > 2 {
			t.Errorf("%d loads of rows that did not change", b.loads)
		}
		b.mu.Unlock()
		b.put("a", 2)
		for i, w := range watchers {
			if i%2 == 0 {
				was := w.now()
				if was.version == 1 {
					<-was.changed
				}
				if now := w.now(); now.version != 2 || now.row != "a2" {
					t.Errorf("watcher %d sees %+v", i, now)
				}
			} else if now := w.now(); now.version != 5 || now.row != "b5" {
				t.Errorf("watcher %d sees %+v", i, now)
			}
		}
		for _, w := range watchers {
			w.leave()
		}
		before = b.count()
		time.Sleep(time.Minute)
		if n := b.count() - before; n != 0 || len(f.watched) != 0 || len(f.hurried) != 0 || f.looking != nil {
			t.Errorf("after all have left: %d queries, %d rows", n, len(f.watched))
		}
	})
}

func TestWhoComesNeverSeesAnOlderLook(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, f := newTable(map[string]int64{"a": 1})
		read, release := make(chan struct{}), make(chan struct{})
		b.during = func() { read <- struct{}{}; <-release }
		first := f.watch(t.Context(), "a")
		defer first.leave()
		<-read // version 1
		b.put("a", 2)
		second := f.watch(t.Context(), "a")
		defer second.leave()
		release <- struct{}{}
		if err := first.first(t.Context()); err != nil || first.now().version != 1 {
			t.Errorf("the first saw %+v, %v", first.now(), err)
		}
		<-read
		release <- struct{}{}
		if err := second.first(t.Context()); err != nil || second.now().version != 2 {
			t.Errorf("the second saw %+v, %v", second.now(), err)
		}
	})
}

func TestOneWhoComesWhileTheLastLeaves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, f := newTable(map[string]int64{"a": 1})
		w := came(t, f, "a")
		read, release := make(chan struct{}, 2), make(chan struct{})
		b.mu.Lock()
		b.during = func() { read <- struct{}{}; <-release }
		b.mu.Unlock()
		b.put("a", 2)
		<-read
		left := make(chan struct{})
		go func() { defer close(left); w.leave() }()
		synctest.Wait() // it waits for the look that is under way
		select {
		case <-left:
			t.Error("it left although somebody looks for it")
		default:
		}
		next := f.watch(t.Context(), "a")
		<-read
		close(release)
		if err := next.first(t.Context()); err != nil || next.now().version != 2 {
			t.Errorf("it saw %+v, %v", next.now(), err)
		}
		<-left
		next.leave()
	})
}

func TestWhoIsInAHurryIsLookedForMoreOften(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, f := newTable(map[string]int64{})
		w := came(t, f, "a")
		defer w.leave()
		quiet := came(t, f, "b")
		defer quiet.leave()
		time.Sleep(time.Second)
		begun, before := time.Now(), b.count()
		time.AfterFunc(40*time.Millisecond, func() { b.put("a", 1) })
		if !w.await(t.Context(), 1) {
			t.Fatal("it was not seen")
		}
		if took := time.Since(begun); took > 75*time.Millisecond {
			t.Errorf("it was seen after %s", took)
		}
		limited, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		if w.await(limited, 2) {
			t.Error("it was seen before it was there")
		}
		if n := b.count() - before; n > 45 {
			t.Errorf("%d queries in %s", n, time.Since(begun))
		}
	})
}

func TestWatchersOutlastADatabaseThatIsAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, _ := newTable(map[string]int64{"a": 1})
		var said strings.Builder
		f := newFeed(b.source(), slog.New(slog.NewTextHandler(&said, nil)))
		w := came(t, f, "a")
		away := errors.New("it is away")
		b.fail(away)
		time.Sleep(time.Second)
		other := f.watch(t.Context(), "a")
		if err := other.first(t.Context()); !errors.Is(err, away) {
			t.Errorf("who came meanwhile was told %v", err)
		}
		other.leave()
		before := b.count()
		time.Sleep(10 * time.Second)
		if n := b.count() - before; n > 21 {
			t.Errorf("%d queries in 10 s to a database that is away", n)
		}
		was := w.now()
		b.put("a", 2)
		b.fail(nil)
		<-was.changed
		if now := w.now(); now.version != 2 {
			t.Errorf("afterwards it saw %+v", now)
		}
		w.leave()
		if n := strings.Count(said.String(), "\n"); n != 2 {
			t.Errorf("it was told %d times:\n%s", n, said.String())
		}
	})
}

func TestLooksAreBounded(t *testing.T) {
	t.Parallel()
	t.Run("in keys of one query", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			b, f := newTable(map[string]int64{"2499": 7})
			var watchers []*watcher[string]
			for i := range 2500 {
				watchers = append(watchers, f.watch(t.Context(), fmt.Sprint(i)))
			}
			time.Sleep(time.Second)
			last := watchers[2499].now()
			for _, w := range watchers {
				w.leave()
			}
			if b.most > keysPerQuery || last.version != 7 {
				t.Errorf("%d keys at once, the last row at %d", b.most, last.version)
			}
		})
	})
	t.Run("in time: where a query is slow, there are fewer", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			b, f := newTable(map[string]int64{"a": 1})
			b.slow = 100 * time.Millisecond
			w := came(t, f, "a")
			before := b.count()
			time.Sleep(10 * time.Second)
			if n := b.count() - before; n < 20 || n > 26 {
				t.Errorf("%d queries of 100 ms in 10 s", n)
			}
			w.leave()
		})
	})
}

func TestARowThatGoesBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, f := newTable(map[string]int64{"a": 5})
		w := came(t, f, "a")
		defer w.leave()
		b.put("a", 3)
		<-w.now().changed
		if now := came(t, f, "a"); now.now().version != 3 {
			t.Errorf("who comes sees %+v, not what is there", now.now())
		} else {
			now.leave()
		}
	})
}

func TestWhoComesAndLeavesSeesWhatWasThere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, f := newTable(map[string]int64{})
		b.slow = time.Millisecond
		var people sync.WaitGroup
		for n := range 200 {
			random := rand.New(rand.NewPCG(1, uint64(n)))
			key := fmt.Sprint(random.IntN(5))
			people.Go(func() {
				for range 20 {
					time.Sleep(time.Duration(random.IntN(400)) * time.Millisecond)
					b.mu.Lock()
					before := b.rows[key]
					b.mu.Unlock()
					w := f.watch(t.Context(), key)
					if err := w.first(t.Context()); err != nil || w.now().version < before {
						t.Errorf("%d was there, %+v was seen, %v", before, w.now(), err)
					}
					b.raise(key, before+1)
					limited, cancel := context.WithTimeout(t.Context(), time.Duration(random.IntN(200))*time.Millisecond)
					if random.IntN(2) == 0 {
						w.await(limited, before+1)
					} else {
						select {
						case <-w.now().changed:
						case <-limited.Done():
						}
					}
					cancel()
					w.leave()
				}
			})
		}
		people.Wait()
		if len(f.watched) != 0 || len(f.hurried) != 0 || f.looking != nil {
			t.Errorf("%d rows are still watched", len(f.watched))
		}
	})
}
