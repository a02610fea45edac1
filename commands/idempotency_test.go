package commands

import (
	"errors"
	"sync"
	"testing"

	"boxoffice/domain"
)

func TestTheSameRequestIsOneOrder(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	one, _ := o.writer()
	two, _ := o.writer()
	do(t, one, createShow(1, 1000))

	t.Run("when it comes again later", func(t *testing.T) {
		first := do(t, one, place(1, 2, "a"), keyed("later", "body"))
		again := do(t, one, place(1, 2, "a"), keyed("later", "body"))
		sameOrder(t, first, again)
	})
	t.Run("when it comes twenty times at once", func(t *testing.T) {
		answers := make([]Answer, 20)
		var running sync.WaitGroup
		for i := range answers {
			running.Go(func() { answers[i] = do(t, one, place(1, 2, "b"), keyed("at once", "body")) })
		}
		running.Wait()
		firsts := 0
		for _, a := range answers {
			if !a.Replayed {
				firsts++
			}
			if a.Result.OrderID != answers[0].Result.OrderID {
				t.Fatalf("orders %s and %s", a.Result.OrderID, answers[0].Result.OrderID)
			}
		}
		if firsts != 1 {
			t.Fatalf("%d first answers", firsts)
		}
	})
	t.Run("when it comes to two writers at once", func(t *testing.T) {
		for i := range 20 {
			key := keyed("two writers", "body")
			key.Request.Key[0] ^= byte(i + 1)
			var a, b Answer
			var running sync.WaitGroup
			running.Go(func() { a = do(t, one, place(1, 2, "c"), key) })
			running.Go(func() { b = do(t, two, place(1, 2, "c"), key) })
			running.Wait()
			if a.Result.OrderID != b.Result.OrderID || a.Replayed == b.Replayed {
				t.Fatalf("answers %+v and %+v", a.Result, b.Result)
			}
		}
	})
	t.Run("when a writer that starts later gets it", func(t *testing.T) {
		first := do(t, one, place(1, 1, "d"), keyed("restart", "body"))
		three, _ := o.writer()
		sameOrder(t, first, do(t, three, place(1, 1, "d"), keyed("restart", "body")))
	})
	t.Run("but not with another body", func(t *testing.T) {
		do(t, one, place(1, 1, "e"), keyed("mismatch", "body"))
		refused(t, one, place(1, 2, "e"), domain.IdempotencyMismatch, keyed("mismatch", "other"))
	})
	t.Run("and a refusal does not use its key up", func(t *testing.T) {
		refused(t, one, place(1, 11, "f"), domain.LimitReached, keyed("refused", "body"))
		if a := do(t, one, place(1, 1, "f"), keyed("refused", "another body")); a.Replayed {
			t.Fatal("a refusal was stored")
		}
	})
	t.Run("and a show that is created twice is one show", func(t *testing.T) {
		first := do(t, one, createShow(2, 5), keyed("show", "body"))
		again := do(t, two, createShow(3, 5), keyed("show", "body"))
		if !again.Replayed || again.Show == nil || again.Show.ShowID != first.Show.ShowID {
			t.Fatalf("answers %+v and %+v", first.Show, again.Show)
		}
	})
	checkDense(t, o)
}

func sameOrder(t *testing.T, first, again Answer) {
	t.Helper()
	if first.Replayed || !again.Replayed || first.Result.OrderID != again.Result.OrderID {
		t.Fatalf("answers %+v and %+v", first, again)
	}
	if first.Position != again.Position || first.Order.Version != again.Order.Version || first.Order.Status != again.Order.Status {
		t.Fatalf("the first answer was %+v, the repeat got %+v", *first.Order, *again.Order)
	}
}

func TestAWriterThatStopsAnswersWhatItTook(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	w, stop := o.writer()
	do(t, w, createShow(1, 100000))
	var running sync.WaitGroup
	var mu sync.Mutex
	yes := map[string]bool{}
	begun := make(chan struct{})
	once := sync.OnceFunc(func() { close(begun) })
	for range 32 {
		running.Go(func() {
			for {
				a, err := w.Do(t.Context(), place(1, 1, "x"), Origin{})
				if errors.Is(err, ErrUnavailable) {
					return
				}
				if err != nil {
					t.Errorf("neither accepted nor stopped: %v", err)
					return
				}
				mu.Lock()
				yes[a.Result.OrderID] = true
				if len(yes) > 200 {
					once()
				}
				mu.Unlock()
			}
		})
	}
	<-begun
	stop()
	running.Wait()
	if stored := o.count("OrderPlaced"); stored < len(yes) {
		t.Fatalf("%d answered, %d stored", len(yes), stored)
	}
}
