package devstack

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestAFrozenServer(t *testing.T) {
	t.Parallel()
	pg := OwnPostgres(t, nil)
	db := pg.Open(t)
	ask := func(limit time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		answered := make(chan error, 1)
		go func() {
			var one int
			answered <- db.GetContext(context.WithoutCancel(ctx), &one, `SELECT 1`)
		}()
		select {
		case err := <-answered:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if err := ask(stopTimeout); err != nil {
		t.Fatal(err)
	}
	if err := pg.Server.Freeze(); err != nil {
		t.Fatal(err)
	}
	if err := ask(300 * time.Millisecond); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a frozen server answers: %v", err)
	}
	if err := pg.Server.Thaw(); err != nil {
		t.Fatal(err)
	}
	if err := ask(stopTimeout); err != nil {
		t.Errorf("after the thaw: %v", err)
	}
	if err := pg.Server.Freeze(); err != nil {
		t.Fatal(err)
	}
	all := append(childrenOf(pg.Server.Pid()), pg.Server.Pid())
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	begun := time.Now()
	if err := pg.Server.Stop(ctx); err != nil || time.Since(begun) > 2*time.Second {
		t.Errorf("a frozen server stops after %s with %v", time.Since(begun), err)
	}
	for _, pid := range all {
		for end := time.Now().Add(stopTimeout); processCommand(pid) != ""; <-time.After(pollEvery) {
			if time.Now().After(end) {
				t.Fatalf("%d is still there: %s", pid, processCommand(pid))
			}
		}
	}
	if len(all) < 3 {
		t.Errorf("only %d processes were found", len(all))
	}
}
