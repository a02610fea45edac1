package storetest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"boxoffice/eventstore"
)

const (
	stallStream = "show-1"
	inTurn      = "in its turn"
	longestWait = 2 * time.Second // for the others, when one stalls in its turn
)

// Stall takes a turn on the log at url, says so on w, and decides when r ends. It says what became of the
// turn. It is run in a process of its own that is stopped in between.
func Stall(ctx context.Context, url string, r io.Reader, w io.Writer) error {
	db, err := eventstore.OpenDB(url, 2)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	s := eventstore.New(db, eventstore.Config{})
	known, err := s.Head(ctx)
	if err != nil {
		return err
	}
	_, err = s.Turn(ctx, known, func(head eventstore.Head, _ []eventstore.Recorded) (*eventstore.Batch, error) {
		if _, err := fmt.Fprintln(w, inTurn); err != nil {
			return nil, err
		}
		if _, err := io.Copy(io.Discard, r); err != nil {
			return nil, err
		}
		in := batch(s, head, event(stallStream, head.Position+1))
		return &in, nil
	})
	_, err = fmt.Fprintln(w, err)
	return err
}

func testStalled(t *testing.T, b Backend) {
	url := b.Database(t)
	cmd := b.Staller(t, url)
	in, err := cmd.StdinPipe()
	wantNone(t, err)
	out, err := cmd.StdoutPipe()
	wantNone(t, err)
	wantNone(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	lines := bufio.NewScanner(out)
	if !lines.Scan() || lines.Text() != inTurn {
		t.Fatalf("the other process said %q, want %q", lines.Text(), inTurn)
	}
	wantNone(t, cmd.Process.Signal(syscall.SIGSTOP))

	t.Run("a writer stopped in its turn holds the others up for less than 2 s", func(t *testing.T) {
		s := open(t, url)
		began := time.Now()
		head, err := s.Turn(t.Context(), eventstore.Head{}, writes(s, event(stallStream, 1)))
		wantNone(t, err)
		if waited := time.Since(began); waited > longestWait {
			t.Errorf("a turn waited %s", waited)
		}
		_, err = s.Append(t.Context(), batch(s, head, event(stallStream, 2)))
		wantNone(t, err)
	})
	t.Run("and its own batch is fenced when it goes on", func(t *testing.T) {
		wantNone(t, cmd.Process.Signal(syscall.SIGCONT))
		wantNone(t, in.Close())
		if !lines.Scan() || !strings.Contains(lines.Text(), eventstore.ErrFenced.Error()) {
			t.Errorf("its turn ended with %q, want %q", lines.Text(), eventstore.ErrFenced)
		}
		wantNone(t, cmd.Wait())
		if log := wantWhole(t, open(t, url)); len(log) != 2 {
			t.Errorf("%d events, want 2", len(log))
		}
	})
}
