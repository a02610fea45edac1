package projections

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// Limits of looking whether rows have changed.
const (
	lookEvery    = 100 * time.Millisecond // while somebody watches; so a stream has at most 10 states a second
	firstLook    = 10 * time.Millisecond  // after somebody in a hurry came; each look waits half as long again
	leastGap     = 3 * time.Millisecond   // between two looks, so that those who come together are one
	afterFailure = 500 * time.Millisecond // between looks while the database does not answer
	lookTimeout  = 2 * time.Second        // of one look
	lookShare    = 4                      // looking takes at most a quarter of the time
	keysPerQuery = 1000
)

// seen is a row at a version; 0: there is none.
type seen[T any] struct {
	version int64
	row     T
}

// source is how a feed looks at rows. Both leave out what is not there.
type source[T any] struct {
	versions func(ctx context.Context, keys []string) (map[string]int64, error)
	load     func(ctx context.Context, keys []string) (map[string]seen[T], error)
}

// feed shows rows to everybody who watches them. However many they are, one goroutine looks: at the versions
// of all rows that are watched, in one query, and loads those that have changed. It begins with the first
// watcher and ends with the last.
type feed[T any] struct {
	source source[T]
	log    *slog.Logger

	mu      sync.Mutex
	watched map[string]*topic[T]
	hurried map[string]*topic[T] // those to look at before the next look at all
	looking *looking             // nil: nobody watches
}

// looking is the goroutine that looks.
type looking struct {
	wake chan struct{} // somebody came
	stop chan struct{} // closed when the last watcher has left
	done chan struct{} // closed when it has ended
}

func newFeed[T any](s source[T], log *slog.Logger) *feed[T] {
	return &feed[T]{source: s, log: log, watched: map[string]*topic[T]{}, hurried: map[string]*topic[T]{}}
}

// run looks until the last watcher has left.
func (f *feed[T]) run(ctx context.Context, l *looking) {
	defer close(l.done)
	timer := time.NewTimer(0)
	defer timer.Stop()
	var all time.Time // of the next look at all rows
	failing := false
	for {
		select {
		case <-l.stop:
			return
		case <-l.wake:
		case <-timer.C:
		}
		begun := time.Now()
		looks := f.due(l, begun, !begun.Before(all))
		err := f.look(ctx, looks)
		if (err != nil) != failing {
			failing = err != nil
			f.tell(ctx, err)
		}
		if pause := lookShare * time.Since(begun); err != nil {
			all = begun.Add(afterFailure)
		} else if !begun.Before(all) {
			all = begun.Add(max(lookEvery, pause))
		}
		timer.Reset(time.Until(f.next(all)))
		select {
		case <-l.stop:
			return
		case <-time.After(leastGap):
		}
	}
}

// tell notes that looking fails, and that it does not any more.
func (f *feed[T]) tell(ctx context.Context, err error) {
	if err != nil {
		f.log.WarnContext(ctx, "live reads stand still", "error", err)
		return
	}
	f.log.InfoContext(ctx, "live reads go on")
}

// one is a row that is looked at.
type one[T any] struct {
	key   string
	topic *topic[T]
	came  *arrival // those who wait for a look that began after they came; nil: nobody
	load  bool     // not only its version
}

// tell lets those go on who came, if they have not heard yet.
func (o *one[T]) tell(err error) {
	if o.came != nil {
		o.came.err = err
		close(o.came.done)
		o.came = nil
	}
}

// due takes what is to be looked at now; nothing for one who was told to stop, whose successor looks already.
func (f *feed[T]) due(l *looking, now time.Time, all bool) []one[T] {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.looking != l {
		return nil
	}
	var looks []one[T]
	for key, t := range f.hurried {
		if t.due.After(now) {
			continue
		}
		t.due = now.Add(t.pause)
		if t.pause >= lookEvery {
			delete(f.hurried, key)
		}
		t.pause += t.pause / 2
		if !all {
			looks = append(looks, t.take(key))
		}
	}
	if all {
		for key, t := range f.watched {
			looks = append(looks, t.take(key))
		}
	}
	return looks
}

// next is when somebody has to be looked at again.
func (f *feed[T]) next(all time.Time) time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, t := range f.hurried {
		if t.due.Before(all) {
			all = t.due
		}
	}
	return all
}

// look reads what has changed of some rows and shows it. Those who came hear of an error.
func (f *feed[T]) look(ctx context.Context, looks []one[T]) error {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	for page := range slices.Chunk(looks, keysPerQuery) {
		if err := f.lookAt(ctx, page); err != nil {
			for i := range looks {
				looks[i].tell(err)
			}
			return err
		}
	}
	return nil
}

func (f *feed[T]) lookAt(ctx context.Context, looks []one[T]) error {
	var compare, load []string
	for _, l := range looks {
		if l.came == nil {
			compare = append(compare, l.key)
		}
	}
	versions := map[string]int64{}
	if len(compare) > 0 {
		var err error
		if versions, err = f.source.versions(ctx, compare); err != nil {
			return err
		}
	}
	for i, l := range looks {
		if l.came != nil || versions[l.key] != l.topic.now.Load().version {
			looks[i].load = true
			load = append(load, l.key)
		}
	}
	if len(load) == 0 {
		return nil
	}
	rows, err := f.source.load(ctx, load)
	if err != nil {
		return err
	}
	for i, l := range looks {
		if l.load {
			l.topic.show(rows[l.key])
			looks[i].tell(nil)
		}
	}
	return nil
}
