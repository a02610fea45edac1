package notifications_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/jmoiron/sqlx"
	"go.uber.org/goleak"

	"boxoffice/domain"
	"boxoffice/eventstore"
	"boxoffice/internal/devstack"
	"boxoffice/internal/notifications"
	"boxoffice/internal/notifications/mailtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(devstack.Tidy(m)) }

const sender = "Boxoffice <tickets@box.example>"

// startsAt is on the clock of Jakarta: Sat 2 Jan 2027, 20:00 WIB.
var startsAt = time.Date(2027, 1, 2, 13, 0, 0, 0, time.UTC)

// world is a real log with one show, and what tells of it.
type world struct {
	t      *testing.T
	db     *sqlx.DB
	store  *eventstore.Store
	server *mailtest.Server
	orders int

	mu  sync.Mutex
	now func() time.Time
}

func newWorld(t *testing.T) *world {
	t.Helper()
	db, err := eventstore.OpenDB(devstack.Postgres(t).URL, 8)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	w := &world{t: t, db: db, store: eventstore.New(db, eventstore.Config{}), server: mailtest.Start(t, mailtest.Config{}), now: time.Now}
	w.write(domain.ShowStream(1), nil, domain.ShowCreated{
		ShowID: 1, Name: "Malam Jazz", Venue: "Gedung Kesenian", StartsAt: startsAt, TimeZone: "Asia/Jakarta", Currency: "IDR",
		TicketTypes: []domain.TicketType{{TicketTypeID: 1, Name: "Festival", Price: 150_000, Capacity: 100}, {TicketTypeID: 2, Name: "Tribune", Price: 1_250_000, Capacity: 100}},
		Totals:      []domain.Totals{{TicketTypeID: 1, Capacity: 100}, {TicketTypeID: 2, Capacity: 100}},
	})
	return w
}

// Now is the world's clock.
func (w *world) Now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now()
}

// later turns the world's clock.
func (w *world) later(by time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = func() time.Time { return time.Now().Add(by) }
}

// write appends events to a stream and returns the last one's version. A contact belongs to the first.
func (w *world) write(stream string, contact *eventstore.Contact, events ...domain.Event) int64 {
	w.t.Helper()
	before, err := w.store.ReadStream(w.t.Context(), stream, 0, eventstore.MaxStream)
	if err != nil {
		w.t.Fatal(err)
	}
	head, err := w.store.Head(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	batch := eventstore.Batch{Head: head, Time: time.Now().UTC().Truncate(time.Microsecond)}
	if batch.Time.Before(head.Time) {
		batch.Time = head.Time
	}
	for i, e := range events {
		data, err := domain.Encode(e)
		if err != nil {
			w.t.Fatal(err)
		}
		batch.Events = append(batch.Events, eventstore.Event{
			Stream: stream, Version: int64(len(before) + i + 1), Type: e.EventType(), SchemaVersion: 1,
			Data: data, Metadata: json.RawMessage(`{"batch":"test"}`),
		})
	}
	if contact != nil {
		batch.Contacts = []eventstore.Contact{*contact}
	}
	if _, err := w.store.Append(w.t.Context(), batch); err != nil {
		w.t.Fatal(err)
	}
	return int64(len(before) + len(events))
}

func rupiah(amount int64) domain.Money { return domain.Money{Amount: amount, Currency: "IDR"} }

// order is one order of a test, as far as it has come.
type order struct {
	w  *world
	id string
}

func (o order) payment(n int) string { return domain.PaymentID(o.id, n) }

func (o order) step(status domain.OrderStatus) domain.OrderStep {
	return domain.OrderStep{OrderID: o.id, ShowID: 1, Status: status}
}

func (o order) write(events ...domain.Event) int64 {
	o.w.t.Helper()
	return o.w.write(domain.OrderStream(o.id), nil, events...)
}

// place places an order for two tickets of the first type and one of the second: Rp1.550.000.
func (w *world) place(email, name string) order {
	w.t.Helper()
	w.orders++
	o := order{w, fmt.Sprintf("ORDER-20261122-%08x", w.orders)}
	now := time.Now().UTC()
	w.write(domain.OrderStream(o.id), &eventstore.Contact{CustomerRef: "ref", CustomerID: "u", Email: email, Name: name}, domain.OrderPlaced{
		OrderStep: o.step(domain.Pending), CustomerRef: "ref", HoldID: domain.HoldID(o.id, 1), PlacedAt: now, ExpiresAt: now.Add(time.Hour),
		ReleaseAt: now.Add(time.Hour), Total: rupiah(1_550_000),
		Lines:   []domain.Line{{TicketTypeID: 1, Quantity: 2, UnitPrice: 150_000}, {TicketTypeID: 2, Quantity: 1, UnitPrice: 1_250_000}},
		Payment: domain.PaymentSummary{PaymentID: o.payment(1), Attempt: 1, Status: domain.Requested, Method: domain.QRIS},
	})
	return o
}

// pays is the order's first payment in a status.
func (o order) pays(status domain.PaymentStatus) domain.PaymentSummary {
	return domain.PaymentSummary{
		PaymentID: o.payment(1), Attempt: 1, Status: status, Method: domain.QRIS, QR: "00020101QR",
		URL: "https://pay.example/" + o.id, ExpiresAt: time.Now().Add(time.Hour),
	}
}

func (o order) confirm() {
	o.write(domain.OrderConfirmed{OrderStep: o.step(domain.Confirmed), Payment: o.pays(domain.Instructed)})
}

func (o order) complete() {
	o.write(domain.OrderCompleted{
		OrderStep: o.step(domain.Completed), HoldID: domain.HoldID(o.id, 1), CompletedAt: time.Now(), Payment: o.pays(domain.Settled),
		Tickets: []domain.Ticket{{TicketID: domain.TicketID(o.id, 1), TicketTypeID: 1}, {TicketID: domain.TicketID(o.id, 2), TicketTypeID: 1}, {TicketID: domain.TicketID(o.id, 3), TicketTypeID: 2}},
	})
}

func (o order) cancel(reason domain.CancelReason) {
	o.write(domain.OrderCanceled{OrderStep: o.step(domain.Canceled), Reason: reason, CanceledAt: time.Now(), Payment: o.pays(domain.Expired)})
}

// owe tells of a refund of the whole order.
func (o order) owe(status domain.RefundStatus, reason domain.RefundReason) {
	o.write(domain.OrderRefunded{
		OrderStep: o.step(domain.Canceled), RefundID: domain.RefundID(o.payment(1), 1), PaymentID: o.payment(1), Refund: status,
		Reason: reason, Amount: rupiah(1_550_000),
	})
}

// sendBack ends the refund on the payment's own stream, and returns the message that tells of it.
func (o order) sendBack() *message.Message {
	o.w.t.Helper()
	version := o.w.write(domain.PaymentStream(o.payment(1)), nil, domain.RefundCompleted{
		PaymentStep: domain.PaymentStep{PaymentID: o.payment(1), OrderID: o.id, ShowID: 1, Previous: domain.Settled, Status: domain.Settled},
		RefundID:    domain.RefundID(o.payment(1), 1), Amount: rupiah(1_550_000), CompletedAt: time.Now(),
	})
	return tell(domain.PaymentStream(o.payment(1)), version, map[string]any{
		"orderId": o.id, "paymentId": o.payment(1), "status": "CANCELED", "previous": "COMPLETED", "reason": "REFUNDED",
	})
}

// is is the message that tells of the order's status.
func (o order) is(status domain.OrderStatus) *message.Message {
	version := map[domain.OrderStatus]int64{domain.Pending: 1, domain.Confirmed: 2, domain.Completed: 3, domain.Canceled: 4}[status]
	return tell(domain.OrderStream(o.id), version, map[string]any{"orderId": o.id, "status": status, "previous": "PENDING"})
}

// tell is a message of notification-topic as the relay makes it.
func tell(stream string, version int64, news map[string]any) *message.Message {
	if _, given := news["at"]; !given {
		news["at"] = time.Now().UTC()
	}
	news["showId"] = 1
	news["somethingNewer"] = []int{1, 2}
	payload, err := json.Marshal(news)
	if err != nil {
		panic(err)
	}
	id := stream + ":" + strconv.FormatInt(version, 10)
	msg := message.NewMessage("notification:"+id, payload)
	msg.Metadata = message.Metadata{
		"ce_specversion": "1.0", "ce_id": msg.UUID, "ce_type": "boxoffice.StatusChanged.v1", "ce_source": "/boxoffice",
		"ce_subject": stream, "boxoffice_version": strconv.FormatInt(version, 10),
	}
	return msg
}

// letters writes letters from the world's log.
func (w *world) letters() *notifications.Letters {
	return notifications.NewLetters(notifications.LetterConfig{
		Store: w.store, Shows: notifications.NewShows(w.db), Now: w.Now,
		TicketCode: func(id string) string { return "code-of-" + id },
	})
}

// mails is a sender of mails to the world's server.
func (w *world) mails() *notifications.MailSender {
	w.t.Helper()
	s, err := notifications.NewMailSender(notifications.MailConfig{URL: w.server.URL(), From: sender, Letters: w.letters()})
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// notifier makes a notifier whose results are counted.
func (w *world) notifier(senders ...notifications.Sender) (*notifications.Notifier, *tally) {
	counts := &tally{}
	return notifications.New(notifications.Config{
		DB: w.db, Senders: senders, Now: w.Now, Observe: counts.add,
		Retry: notifications.Retry{First: 20 * time.Millisecond, Most: 50 * time.Millisecond},
		Log:   slog.New(slog.NewTextHandler(w.t.Output(), nil)),
	}), counts
}

// running lets a notifier send until the test ends or stop is called.
func (w *world) running(n *notifications.Notifier) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.t.Context()))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := n.Run(ctx); err != nil {
			w.t.Error(err)
		}
	}()
	stop = func() {
		cancel()
		<-ended
	}
	w.t.Cleanup(stop)
	return stop
}

// hand gives messages to a notifier, all at once, as the subscriber does.
func (w *world) hand(n *notifications.Notifier, msgs ...*message.Message) {
	w.t.Helper()
	var all sync.WaitGroup
	for _, msg := range msgs {
		all.Go(func() {
			again := msg.Copy()
			again.SetContext(w.t.Context())
			if err := n.Handle(again); err != nil {
				w.t.Errorf("%s: %v", msg.UUID, err)
			}
		})
	}
	all.Wait()
}

// count is how many rows a condition meets.
func (w *world) count(where string) int {
	w.t.Helper()
	var n int
	if err := w.db.GetContext(w.t.Context(), &n, `SELECT count(*) FROM notifications WHERE `+where); err != nil {
		w.t.Fatal(err)
	}
	return n
}

// awaitCount waits until so many rows meet a condition.
func (w *world) awaitCount(where string, want int) {
	w.t.Helper()
	eventually(w.t, fmt.Sprintf("%d with %s", want, where), func() string {
		if n := w.count(where); n != want {
			return fmt.Sprint("there are ", n)
		}
		return ""
	})
}

// result is what became of the only row of a notification at a sender, and why.
func (w *world) result(sender, id string) string {
	w.t.Helper()
	var found string
	if err := w.db.GetContext(w.t.Context(), &found,
		`SELECT coalesce((SELECT CASE WHEN ended THEN result ELSE 'waiting' END || ': ' || reason
			FROM notifications WHERE sender = $1 AND id = $2), 'no row')`, sender, id); err != nil {
		w.t.Fatal(err)
	}
	return strings.TrimSuffix(found, ": ")
}

// tally counts results.
type tally struct {
	mu sync.Mutex
	n  map[string]int
}

func (c *tally) add(sender string, result notifications.Result) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = map[string]int{}
	}
	c.n[sender+" "+string(result)]++
}

func (c *tally) of(sender string, result notifications.Result) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n[sender+" "+string(result)]
}

// eventually looks until something is so; what is not says why.
func eventually(t *testing.T, what string, not func() string) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(20 * time.Second)
	for {
		why := not()
		if why == "" {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%s: not in 20 s: %s", what, why)
		}
	}
}
