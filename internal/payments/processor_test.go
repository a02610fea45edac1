package payments_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"boxoffice/domain"
	"boxoffice/eventstore"
	"boxoffice/internal/payments"
)

// hand gives the process all events of the log, some at a time, as the windowed subscriber does: those of one
// stream one after another.
func (j *journal) hand(p *payments.Processor) {
	j.t.Helper()
	streams := map[string][]eventstore.Recorded{}
	for _, r := range j.all() {
		streams[r.Stream] = append(streams[r.Stream], r)
	}
	var handlers sync.WaitGroup
	for _, events := range streams {
		handlers.Go(func() {
			for _, r := range events {
				if err := p.Handle(j.message(r)); err != nil {
					j.t.Errorf("handle %s: %v", r.ID(), err)
				}
			}
		})
	}
	handlers.Wait()
}

func (j *journal) message(r eventstore.Recorded) *message.Message {
	msg := eventstore.ToMessage(r)
	msg.SetContext(j.t.Context())
	return msg
}

var errDown = errors.New("the gateway is down")

func down(string) error { return errDown }

func TestProcessorCharges(t *testing.T) {
	t.Parallel()

	t.Run("a requested payment is charged and its instruction recorded", func(t *testing.T) {
		t.Parallel()
		j, g := newJournal(t), &gateway{}
		id := j.request(300_000, time.Hour)
		j.hand(j.processor(g))
		pay := j.payment(t.Context(), id)
		if pay.Status != domain.Instructed || pay.QR != "qr" || pay.ChargeID != "C-"+id {
			t.Errorf("payment %+v", pay)
		}
	})

	t.Run("a payment that has expired is not charged", func(t *testing.T) {
		t.Parallel()
		j, g := newJournal(t), &gateway{}
		j.request(300_000, -time.Second)
		j.hand(j.processor(g))
		if made := g.made(); len(made) != 0 {
			t.Errorf("calls %v", made)
		}
	})

	t.Run("a payment that ended before its message came is not charged", func(t *testing.T) {
		t.Parallel()
		j, g := newJournal(t), &gateway{}
		id := j.request(300_000, time.Hour)
		j.expire(id)
		j.hand(j.processor(g))
		if g.count("charge", id) != 0 || g.count("void", id) != 1 {
			t.Errorf("calls %v", g.made())
		}
	})

	t.Run("a charge that is refused for good fails the payment", func(t *testing.T) {
		t.Parallel()
		j := newJournal(t)
		g := &gateway{fail: func(string) error { return payments.Permanent(errors.New("no such merchant")) }}
		id := j.request(300_000, time.Hour)
		j.hand(j.processor(g))
		if j.last(id) != "PaymentFailed" || g.count("charge", id) != 1 {
			t.Errorf("last event %s, calls %v", j.last(id), g.made())
		}
	})

	t.Run("a charge is tried again at once", func(t *testing.T) {
		t.Parallel()
		j, g := newJournal(t), &gateway{}
		g.fail = func(string) error {
			if len(g.calls) == 1 {
				return errDown
			}
			return nil
		}
		id := j.request(300_000, time.Hour)
		j.hand(j.processor(g))
		if j.last(id) != "PaymentInstructed" || len(j.waiting()) != 0 {
			t.Errorf("last event %s, waiting %v", j.last(id), j.waiting())
		}
	})

	t.Run("an instruction that can't be recorded brings the message again", func(t *testing.T) {
		t.Parallel()
		j, g := newJournal(t), &gateway{}
		p, id := j.processor(g), j.request(300_000, time.Hour)
		j.setBroken(true)
		if err := p.Handle(j.message(j.all()[0])); !errors.Is(err, errBroken) || errors.Is(err, payments.ErrPermanent) {
			t.Errorf("error %v, want a transient one", err)
		}
		j.setBroken(false)
		j.hand(p)
		if j.last(id) != "PaymentInstructed" || len(j.waiting()) != 0 {
			t.Errorf("last event %s, waiting %v", j.last(id), j.waiting())
		}
	})

	t.Run("a message that is interrupted says so and is not judged", func(t *testing.T) {
		t.Parallel()
		j, g := newJournal(t), &gateway{}
		j.request(300_000, time.Hour)
		ctx, cancel := context.WithCancel(t.Context())
		g.fail = func(string) error { cancel(); return errDown }
		msg := j.message(j.all()[0])
		msg.SetContext(ctx)
		if err := j.processor(g).Handle(msg); !errors.Is(err, context.Canceled) || len(j.waiting()) != 0 {
			t.Errorf("error %v, waiting %v", err, j.waiting())
		}
	})
}

func TestProcessorReadsManyStreamsAtOnce(t *testing.T) {
	t.Parallel()
	j, g := newJournal(t), &gateway{}
	for range 100 {
		j.request(1000, time.Hour)
	}
	var mu sync.Mutex
	queries := 0
	p := payments.NewProcessor(payments.ProcessorConfig{
		Gateway: "test", Charger: g, Refunder: g, Send: j.send, Now: time.Now, DB: j.db,
		Streams: func(ctx context.Context, streams []string) (map[string][]eventstore.Recorded, error) {
			mu.Lock()
			queries++
			mu.Unlock()
			return j.store.ReadStreams(ctx, streams)
		},
	})
	j.hand(p)
	if len(g.made()) != 100 || queries > 60 {
		t.Errorf("%d charges by %d queries", len(g.made()), queries)
	}
}

func TestProcessorIgnoresWhatItNeedNotDo(t *testing.T) {
	t.Parallel()
	j, g := newJournal(t), &gateway{}
	p := j.processor(g)

	t.Run("events that ask for nothing", func(t *testing.T) {
		for _, kind := range []string{"PaymentSettled", "PaymentInventedTomorrow", "OrderPlaced"} {
			msg := j.message(eventstore.Recorded{Event: eventstore.Event{
				Stream: "payment-x", Version: 1, Type: kind, SchemaVersion: 9, Data: []byte("{}"),
			}, Position: 1})
			if err := p.Handle(msg); err != nil {
				t.Errorf("%s: %v", kind, err)
			}
		}
	})

	t.Run("payments that the log does not have", func(t *testing.T) {
		for kind, data := range map[string]string{
			"PaymentRequested": `{"paymentId":"PAY-x-1"}`, "PaymentExpired": `{"paymentId":"PAY-x-1"}`,
			"RefundRequested": `{"paymentId":"PAY-x-1","refundId":"REFUND-x-1-1"}`,
		} {
			msg := j.message(eventstore.Recorded{Event: eventstore.Event{
				Stream: "payment-PAY-x-1", Version: 1, Type: kind, SchemaVersion: 1, Data: []byte(data),
			}, Position: 1})
			if err := p.Handle(msg); err != nil {
				t.Errorf("%s: %v", kind, err)
			}
		}
	})

	t.Run("what can't be read is for the dead letters", func(t *testing.T) {
		good := eventstore.Recorded{Event: eventstore.Event{
			Stream: "payment-x", Version: 1, Type: "PaymentRequested", SchemaVersion: 1, Data: []byte("{}"),
		}, Position: 1}
		newer, torn := good, good
		newer.SchemaVersion = 9
		torn.Data = []byte(`{"paymentId":`)
		foreign := message.NewMessage("1", []byte("hello"))
		foreign.SetContext(t.Context())
		for name, msg := range map[string]*message.Message{"newer": j.message(newer), "torn": j.message(torn), "foreign": foreign} {
			err := p.Handle(msg)
			marked, ok := errors.AsType[interface {
				error
				Permanent() bool
			}](err)
			if !errors.Is(err, payments.ErrPermanent) || !ok || !marked.Permanent() {
				t.Errorf("%s: error %v, want a permanent one", name, err)
			}
		}
	})

	if made := g.made(); len(made) != 0 {
		t.Errorf("calls %v", made)
	}
}

func TestProcessorVoids(t *testing.T) {
	t.Parallel()

	t.Run("an expired payment is voided", func(t *testing.T) {
		t.Parallel()
		j, g := newJournal(t), &gateway{}
		id := j.request(1000, time.Minute)
		j.expire(id)
		j.hand(j.processor(g))
		if g.count("void", id) != 1 {
			t.Errorf("calls %v", g.made())
		}
	})

	t.Run("one that the gateway has ended long ago is not", func(t *testing.T) {
		t.Parallel()
		j, g := newJournal(t), &gateway{}
		j.expire(j.request(1000, -payments.VoidWindow-time.Second))
		j.hand(j.processor(g))
		if made := g.made(); len(made) != 0 {
			t.Errorf("calls %v", made)
		}
	})

	t.Run("one that was paid late is not", func(t *testing.T) {
		t.Parallel()
		j, g := newJournal(t), &gateway{}
		id := j.request(1000, time.Minute)
		j.expire(id)
		j.write(id, domain.PaymentSettled{PaymentStep: step(id, domain.Expired, domain.Settled), Amount: rupiah(1000)})
		j.hand(j.processor(g))
		if made := g.made(); len(made) != 0 {
			t.Errorf("calls %v", made)
		}
	})

	t.Run("a void that is refused for good is let go", func(t *testing.T) {
		t.Parallel()
		j := newJournal(t)
		g := &gateway{fail: func(string) error { return payments.Permanent(errors.New("paid already")) }}
		id := j.request(1000, time.Minute)
		j.expire(id)
		j.hand(j.processor(g))
		if g.count("void", id) != 1 || len(j.waiting()) != 0 {
			t.Errorf("calls %v, waiting %v", g.made(), j.waiting())
		}
	})
}

func TestProcessorRefunds(t *testing.T) {
	t.Parallel()

	t.Run("money that is owed goes back once, however often the log is published", func(t *testing.T) {
		t.Parallel()
		j, g := newJournal(t), &gateway{}
		id := j.request(1000, time.Hour)
		refundID := j.owe(id, 1000)
		for range 3 {
			j.hand(j.processor(g))
		}
		refund, _ := new(j.payment(t.Context(), id)).Refund(refundID)
		if g.count("refund", refundID) != 1 || refund.Status != domain.RefundDone || refund.GatewayID != "G-"+refundID {
			t.Errorf("calls %v, refund %+v", g.made(), refund)
		}
	})

	t.Run("a refund that is refused for good is given up at once", func(t *testing.T) {
		t.Parallel()
		j := newJournal(t)
		g := &gateway{fail: func(string) error { return payments.Permanent(errors.New("not refundable")) }}
		id := j.request(1000, time.Hour)
		refundID := j.owe(id, 1000)
		j.hand(j.processor(g))
		if g.count("refund", refundID) != 1 || j.last(id) != "RefundFailed" {
			t.Errorf("calls %v, last event %s", g.made(), j.last(id))
		}
	})
}

func TestProcessorTriesLater(t *testing.T) {
	t.Parallel()

	// run starts the part that tries again, and stops it with the test.
	run := func(t *testing.T, p *payments.Processor) {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() {
			if err := p.Run(ctx); err != nil {
				t.Errorf("run: %v", err)
			}
		})
		t.Cleanup(func() { cancel(); running.Wait() })
	}

	t.Run("a gateway that is down holds up no message, and all is done when it is back", func(t *testing.T) {
		t.Parallel()
		j, g := newJournal(t), &gateway{fail: down}
		toCharge, toVoid, toRefund := j.request(1000, time.Hour), j.request(1000, time.Hour), j.request(1000, time.Hour)
		j.expire(toVoid)
		refundID := j.owe(toRefund, 1000)
		j.hand(j.processor(g))
		want := []string{
			domain.PaymentStream(toCharge) + ":1", domain.PaymentStream(toVoid) + ":2", domain.PaymentStream(toRefund) + ":3",
		}
		if waiting := j.waiting(); !slices.Equal(waiting, want) {
			t.Fatalf("waiting %v, want %v", waiting, want)
		}
		g.setFail(nil)
		another := j.processor(g) // another process: what waits survives a restart
		var begun, ended sync.Map
		another.Trace = func(ctx context.Context, e eventstore.Recorded) (context.Context, func(error)) {
			begun.Store(e.ID(), true)
			return ctx, func(error) { ended.Store(e.ID(), true) }
		}
		run(t, another)
		eventually(t, "nothing waits", func() bool { return len(j.waiting()) == 0 })
		if j.last(toCharge) != "PaymentInstructed" || j.last(toRefund) != "RefundCompleted" {
			t.Errorf("last events %s, %s", j.last(toCharge), j.last(toRefund))
		}
		if g.count("void", toVoid) != 3 || g.count("refund", refundID) != 3 {
			t.Errorf("calls %v, want two tries and one that succeeds", g.made())
		}
		for _, id := range want {
			_, began := begun.Load(id)
			if _, end := ended.Load(id); !began || !end {
				t.Errorf("the later try of %s is not traced", id)
			}
		}
	})

	t.Run("a refund that fails as often as it may becomes an open item", func(t *testing.T) {
		t.Parallel()
		j, g := newJournal(t), &gateway{fail: down}
		id := j.request(1000, time.Hour)
		refundID := j.owe(id, 1000)
		p := j.processor(g)
		j.hand(p)
		run(t, p)
		eventually(t, "it is given up", func() bool { return j.last(id) == "RefundFailed" && len(j.waiting()) == 0 })
		if n := g.count("refund", refundID); n != 5 {
			t.Errorf("%d tries, want 5", n)
		}
		pay := j.payment(t.Context(), id)
		if len(pay.OpenItems) != 1 {
			t.Errorf("open items %v", pay.OpenItems)
		}
	})

	t.Run("a charge is given up when the payment expires", func(t *testing.T) {
		t.Parallel()
		j, g := newJournal(t), &gateway{fail: down}
		j.request(1000, 300*time.Millisecond)
		p := j.processor(g)
		j.hand(p)
		run(t, p)
		eventually(t, "nothing waits", func() bool { return len(j.waiting()) == 0 })
		if len(g.made()) < 3 {
			t.Errorf("calls %v", g.made())
		}
	})

	t.Run("two processes try a waiting task one at a time", func(t *testing.T) {
		t.Parallel()
		j, g := newJournal(t), &gateway{fail: down}
		refunds := map[string]string{}
		for range 20 {
			id := j.request(1000, time.Hour)
			refunds[id] = j.owe(id, 1000)
		}
		j.hand(j.processor(g))
		run(t, j.processor(g))
		run(t, j.processor(g))
		eventually(t, "all are given up", func() bool { return len(j.waiting()) == 0 })
		for id, refundID := range refunds {
			if n := g.count("refund", refundID); n != 5 || j.last(id) != "RefundFailed" {
				t.Errorf("%s: %d tries, last event %s", id, n, j.last(id))
			}
		}
	})
}
