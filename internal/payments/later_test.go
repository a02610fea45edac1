package payments_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"testing"
	"time"

	"boxoffice/domain"
	"boxoffice/eventstore"
)

// warnings counts what is logged at level warn.
type warnings struct {
	slog.Handler
	mu sync.Mutex
	n  map[string]int // by message
}

func (h *warnings) Enabled(context.Context, slog.Level) bool { return true }

func (h *warnings) Handle(_ context.Context, r slog.Record) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.n[r.Message]++
	return nil
}

func (h *warnings) count(message string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.n[message]
}

// writeNewer appends an event as only a newer program can read it.
func (j *journal) writeNewer(stream, eventType string) {
	j.t.Helper()
	head, err := j.store.Head(j.t.Context())
	if err != nil {
		j.t.Fatal(err)
	}
	before, err := j.store.ReadStream(j.t.Context(), stream, 0, eventstore.MaxStream)
	if err != nil {
		j.t.Fatal(err)
	}
	at := time.Now().UTC()
	if at.Before(head.Time) {
		at = head.Time
	}
	if _, err := j.store.Append(j.t.Context(), eventstore.Batch{Head: head, Time: at, Events: []eventstore.Event{{
		Stream: stream, Version: int64(len(before) + 1), Type: eventType, SchemaVersion: 99,
		Data: json.RawMessage(`{}`), Metadata: json.RawMessage(`{}`),
	}}}); err != nil {
		j.t.Fatal(err)
	}
}

func TestAWaitingRefundIsNotLostToAnOlderProgram(t *testing.T) {
	t.Parallel()
	j, g := newJournal(t), &gateway{fail: down}
	id := j.request(1000, time.Hour)
	j.owe(id, 1000)
	p := j.processor(g)
	j.hand(p)
	g.setFail(nil)
	j.writeNewer(domain.PaymentStream(id), "PaymentMismatched") // the payment can't be read here
	log := &warnings{Handler: slog.DiscardHandler, n: map[string]int{}}
	p.Log = slog.New(log)

	unread, another := domain.PaymentStream(id)+":3", domain.PaymentStream("PAY-20250205-ffffffff-1")
	j.writeNewer(another, "RefundRequested") // the task itself can't be read here
	j.writeNewer(another, "RefundPraised")   // nor is this one known
	const gone = "payment-PAY-20250205-eeeeeeee-1:1"
	if _, err := j.db.ExecContext(t.Context(), `INSERT INTO payment_retries (event_id, tries, due_at) VALUES ($1, 1, now()), ($2, 1, now()), ($3, 1, now())`,
		another+":1", another+":2", gone); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = p.Run(ctx) })
	eventually(t, "all were tried", func() bool {
		return log.count("waiting gateway call not tried") == 3 && log.count("waiting gateway call is not in the log and is dropped") == 1
	})
	eventually(t, "what is not in the log is dropped", func() bool { return len(j.waiting()) == 3 })
	stop()
	running.Wait()
	if waiting := j.waiting(); waiting[0] != unread || waiting[1] != another+":1" || waiting[2] != another+":2" {
		t.Errorf("waiting %v", waiting)
	}
	if n := len(g.made()); n != 2 { // both while it was down
		t.Errorf("calls %v", g.made())
	}
}
