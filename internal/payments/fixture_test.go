package payments_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"go.uber.org/goleak"

	"boxoffice/domain"
	"boxoffice/eventstore"
	"boxoffice/internal/devstack"
	"boxoffice/internal/payments"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(devstack.Tidy(m)) }

// journal is a real log with payments in it, and the rules as far as payments need them: it is the process' Sender.
type journal struct {
	t     *testing.T
	db    *sqlx.DB
	store *eventstore.Store

	mu     sync.Mutex
	broken bool // commands fail, as if the log were away
	orders int
}

func newJournal(t *testing.T) *journal {
	t.Helper()
	db, err := eventstore.OpenDB(devstack.Postgres(t).URL, 8)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return &journal{t: t, db: db, store: eventstore.New(db, eventstore.Config{})}
}

// append writes events to a payment's stream. The caller has the lock, or is alone.
func (j *journal) append(ctx context.Context, paymentID string, events ...domain.Event) error {
	stream := domain.PaymentStream(paymentID)
	before, err := j.store.ReadStream(ctx, stream, 0, eventstore.MaxStream)
	if err != nil {
		return err
	}
	head, err := j.store.Head(ctx)
	if err != nil {
		return err
	}
	batch := eventstore.Batch{Head: head, Time: time.Now().UTC()}
	if batch.Time.Before(head.Time) {
		batch.Time = head.Time
	}
	for i, e := range events {
		data, err := domain.Encode(e)
		if err != nil {
			return err
		}
		batch.Events = append(batch.Events, eventstore.Event{
			Stream: stream, Version: int64(len(before) + i + 1), Type: e.EventType(), SchemaVersion: 1,
			Data: data, Metadata: json.RawMessage(`{"batch":"test"}`),
		})
	}
	_, err = j.store.Append(ctx, batch)
	return err
}

func (j *journal) write(paymentID string, events ...domain.Event) {
	j.t.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.append(j.t.Context(), paymentID, events...); err != nil {
		j.t.Fatal(err)
	}
}

func step(paymentID string, previous, status domain.PaymentStatus) domain.PaymentStep {
	return domain.PaymentStep{PaymentID: paymentID, OrderID: "ORDER-" + paymentID[4:len(paymentID)-2], ShowID: 1, Previous: previous, Status: status}
}

func rupiah(amount int64) domain.Money { return domain.Money{Amount: amount, Currency: "IDR"} }

// request begins a payment that expires after some time, and returns its id.
func (j *journal) request(amount int64, expires time.Duration) string {
	j.t.Helper()
	j.mu.Lock()
	j.orders++
	paymentID := fmt.Sprintf("PAY-20250205-%08x-1", j.orders)
	j.mu.Unlock()
	j.write(paymentID, domain.PaymentRequested{
		PaymentStep: step(paymentID, "", domain.Requested), Attempt: 1, Method: domain.QRIS, Amount: rupiah(amount),
		ExpiresAt: time.Now().Add(expires).UTC().Truncate(time.Microsecond),
	})
	return paymentID
}

// owe settles a payment and asks for its refund, whose id it returns.
func (j *journal) owe(paymentID string, amount int64) string {
	j.t.Helper()
	refundID := domain.RefundID(paymentID, 1)
	j.write(paymentID,
		domain.PaymentSettled{PaymentStep: step(paymentID, domain.Requested, domain.Settled), Amount: rupiah(amount), Reference: "R", SettledAt: time.Now()},
		domain.RefundRequested{
			PaymentStep: step(paymentID, domain.Settled, domain.Settled), RefundID: refundID, Reason: domain.LateMoney,
			Amount: rupiah(amount), Reference: "R",
		})
	return refundID
}

func (j *journal) expire(paymentID string) {
	j.t.Helper()
	j.write(paymentID, domain.PaymentExpired{PaymentStep: step(paymentID, domain.Instructed, domain.Expired), ExpiredAt: time.Now()})
}

var errBroken = errors.New("the log is away")

// send stores what the rules make of a command of the process.
func (j *journal) send(ctx context.Context, c domain.Command, o payments.Origin) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.broken {
		return errBroken
	}
	if o.Actor != "system" || o.Causation == "" {
		return fmt.Errorf("origin %+v", o)
	}
	switch c := c.(type) {
	case domain.RecordInstruction:
		if j.payment(ctx, c.PaymentID).Status == domain.Requested {
			return j.append(ctx, c.PaymentID, domain.PaymentInstructed{
				PaymentStep: step(c.PaymentID, domain.Requested, domain.Instructed), QR: c.QR, URL: c.URL, ChargeID: c.ChargeID, ExpiresAt: c.ExpiresAt,
			})
		}
	case domain.FailPayment:
		if j.payment(ctx, c.PaymentID).Status.Open() {
			return j.append(ctx, c.PaymentID, domain.PaymentFailed{
				PaymentStep: step(c.PaymentID, domain.Requested, domain.Failed), GatewayStatus: c.GatewayStatus, Detail: c.Detail,
			})
		}
	case domain.RecordRefund:
		pay := j.payment(ctx, c.PaymentID)
		refund, ok := pay.Refund(c.RefundID)
		if !ok || refund.Status != domain.RefundDue {
			return nil
		}
		if c.Failed {
			return j.append(ctx, c.PaymentID, domain.RefundFailed{
				PaymentStep: step(c.PaymentID, domain.Settled, domain.Settled), RefundID: c.RefundID, Attempts: c.Attempts, Detail: c.Detail,
			})
		}
		return j.append(ctx, c.PaymentID, domain.RefundCompleted{
			PaymentStep: step(c.PaymentID, domain.Settled, domain.Settled), RefundID: c.RefundID, GatewayID: c.GatewayID,
		})
	default:
		return fmt.Errorf("command %T", c)
	}
	return nil
}

func (j *journal) setBroken(broken bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.broken = broken
}

// payment folds a payment from the log.
func (j *journal) payment(ctx context.Context, paymentID string) domain.Payment {
	var pay domain.Payment
	for _, r := range j.events(ctx, paymentID) {
		e, err := domain.Decode(r.Type, int(r.SchemaVersion), r.Data)
		if err != nil {
			j.t.Errorf("decode %s: %v", r.ID(), err)
		}
		pay.Evolve(e)
	}
	return pay
}

func (j *journal) events(ctx context.Context, paymentID string) []eventstore.Recorded {
	events, err := j.store.ReadStream(ctx, domain.PaymentStream(paymentID), 0, eventstore.MaxStream)
	if err != nil {
		j.t.Errorf("read %s: %v", paymentID, err)
	}
	return events
}

// last is the type of a payment's last event.
func (j *journal) last(paymentID string) string {
	events := j.events(j.t.Context(), paymentID)
	return events[len(events)-1].Type
}

// all is the whole log, as the relay would publish it.
func (j *journal) all() []eventstore.Recorded {
	j.t.Helper()
	events, err := j.store.ReadAll(j.t.Context(), 0, eventstore.MaxPage)
	if err != nil {
		j.t.Fatal(err)
	}
	return events
}

func (j *journal) waiting() []string {
	j.t.Helper()
	var ids []string
	if err := j.db.SelectContext(j.t.Context(), &ids, `SELECT event_id FROM payment_retries ORDER BY event_id`); err != nil {
		j.t.Fatal(err)
	}
	return ids
}

// gateway counts its calls; fail may make one fail.
type gateway struct {
	mu    sync.Mutex
	calls []string
	fail  func(call string) error
}

func (g *gateway) call(what, id string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.calls = append(g.calls, what+" "+id)
	if g.fail != nil {
		return g.fail(what)
	}
	return nil
}

func (g *gateway) count(what, id string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := 0
	for _, c := range g.calls {
		if c == what+" "+id {
			n++
		}
	}
	return n
}

func (g *gateway) made() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.calls)
}

func (g *gateway) setFail(fail func(string) error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.fail = fail
}

func (g *gateway) Charge(_ context.Context, r payments.ChargeRequest) (payments.Instruction, error) {
	return payments.Instruction{ChargeID: "C-" + r.PaymentID, QR: "qr", ExpiresAt: r.ExpiresAt}, g.call("charge", r.PaymentID)
}

func (g *gateway) Void(_ context.Context, paymentID string) error { return g.call("void", paymentID) }

func (g *gateway) Status(context.Context, string) (payments.Status, error) {
	return payments.Status{State: payments.Unknown}, nil
}

func (g *gateway) Refund(_ context.Context, r payments.RefundRequest) (payments.RefundReceipt, error) {
	return payments.RefundReceipt{GatewayID: "G-" + r.RefundID}, g.call("refund", r.RefundID)
}

func (j *journal) processor(g *gateway) *payments.Processor {
	return payments.NewProcessor(payments.ProcessorConfig{
		Gateway: "test", Charger: g, Refunder: g, Streams: j.store.ReadStreams, Send: j.send, Now: time.Now, DB: j.db,
		Quick: payments.Retry{Attempts: 2, First: time.Millisecond, Most: time.Millisecond},
		Later: payments.Retry{Attempts: 5, First: time.Millisecond, Most: 5 * time.Millisecond},
	})
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(20 * time.Second)
	for !is() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%s: not in 20 s", what)
		}
	}
}
