package gather_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"boxoffice/internal/gather"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// gate is a gathered function whose first run waits until it is let go; it notes the size of each run.
type gate struct {
	started chan struct{}
	open    chan struct{}
	mu      sync.Mutex
	runs    [][]int
}

func newGate() *gate { return &gate{started: make(chan struct{}, 100), open: make(chan struct{})} }

func (g *gate) double(_ context.Context, in []int) ([]int, error) {
	g.mu.Lock()
	g.runs = append(g.runs, slices.Clone(in))
	g.mu.Unlock()
	g.started <- struct{}{}
	<-g.open
	out := make([]int, len(in))
	for i, v := range in {
		out[i] = 2 * v
	}
	return out, nil
}

func TestDo(t *testing.T) {
	t.Parallel()

	t.Run("callers that come during a run are the next one together", func(t *testing.T) {
		t.Parallel()
		g := newGate()
		r := gather.New(10, time.Minute, g.double)
		var callers sync.WaitGroup
		ask := func(v int) {
			callers.Go(func() {
				if got, err := r.Do(t.Context(), v); err != nil || got != 2*v {
					t.Errorf("Do(%d) = %d, %v", v, got, err)
				}
			})
		}
		ask(1)
		<-g.started
		for v := 2; v <= 26; v++ {
			ask(v)
		}
		eventually(t, func() bool { return gather.Waiting(r) == 25 })
		close(g.open)
		callers.Wait()

		var sizes []int
		for _, run := range g.runs {
			sizes = append(sizes, len(run))
		}
		if want := []int{1, 10, 10, 5}; !slices.Equal(sizes, want) {
			t.Errorf("sizes of the runs %v, want %v", sizes, want)
		}
	})

	t.Run("a caller that gives up leaves the others alone", func(t *testing.T) {
		t.Parallel()
		g := newGate()
		r := gather.New(10, time.Minute, g.double)
		var callers sync.WaitGroup
		callers.Go(func() { _, _ = r.Do(t.Context(), 1) })
		<-g.started
		ctx, cancel := context.WithCancel(t.Context())
		gone := make(chan error, 1)
		callers.Go(func() {
			_, err := r.Do(ctx, 2)
			gone <- err
		})
		callers.Go(func() {
			if got, err := r.Do(t.Context(), 3); err != nil || got != 6 {
				t.Errorf("Do(3) = %d, %v", got, err)
			}
		})
		eventually(t, func() bool { return gather.Waiting(r) == 2 })
		cancel()
		if err := <-gone; !errors.Is(err, context.Canceled) {
			t.Errorf("error %v, want the context's", err)
		}
		close(g.open)
		callers.Wait()
		if len(g.runs) != 2 || !slices.Equal(g.runs[1], []int{3}) {
			t.Errorf("runs %v, want the second for 3 alone", g.runs)
		}
	})

	t.Run("a leader whose context has ended still serves the others", func(t *testing.T) {
		t.Parallel()
		r := gather.New(10, time.Minute, func(ctx context.Context, in []int) ([]int, error) { return in, ctx.Err() })
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if got, err := r.Do(ctx, 5); err != nil || got != 5 {
			t.Errorf("Do = %d, %v", got, err)
		}
	})

	t.Run("an error is everybody's", func(t *testing.T) {
		t.Parallel()
		fault := errors.New("no server")
		r := gather.New(10, time.Minute, func(context.Context, []int) ([]int, error) { return nil, fault })
		if _, err := r.Do(t.Context(), 5); !errors.Is(err, fault) {
			t.Errorf("error %v, want %v", err, fault)
		}
	})

	t.Run("too few answers are an error", func(t *testing.T) {
		t.Parallel()
		r := gather.New(10, time.Minute, func(context.Context, []int) ([]int, error) { return nil, nil })
		if _, err := r.Do(t.Context(), 5); !errors.Is(err, gather.ErrBroken) {
			t.Errorf("error %v, want %v", err, gather.ErrBroken)
		}
	})

	t.Run("a panic leaves the runner working", func(t *testing.T) {
		t.Parallel()
		calls := 0
		r := gather.New(10, time.Minute, func(_ context.Context, in []int) ([]int, error) {
			if calls++; calls == 1 {
				panic("bug")
			}
			return in, nil
		})
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic did not reach its caller")
				}
			}()
			_, _ = r.Do(t.Context(), 1)
		}()
		if got, err := r.Do(t.Context(), 2); err != nil || got != 2 {
			t.Errorf("Do = %d, %v", got, err)
		}
	})
}

func TestDoUnderLoad(t *testing.T) {
	t.Parallel()
	const callers, each = 64, 200
	r := gather.New(16, time.Minute, func(_ context.Context, in []int) ([]int, error) {
		if len(in) > 16 {
			return nil, fmt.Errorf("%d callers in one run", len(in))
		}
		return in, nil
	})
	var all sync.WaitGroup
	for c := range callers {
		all.Go(func() {
			for i := range each {
				ctx, cancel := context.WithCancel(t.Context())
				if i%7 == 0 {
					cancel() // gone before it is answered, or not: both must do no harm
				}
				want := c*each + i
				if got, err := r.Do(ctx, want); err == nil && got != want {
					t.Errorf("Do(%d) = %d", want, got)
				} else if err != nil && !errors.Is(err, context.Canceled) {
					t.Errorf("Do(%d): %v", want, err)
				}
				cancel()
			}
		})
	}
	all.Wait()
}

func eventually(t *testing.T, is func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.After(10 * time.Second)
	for !is() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("it did not come about in 10 s")
		}
	}
}
