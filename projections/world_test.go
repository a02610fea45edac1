package projections

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"boxoffice/domain"
	"boxoffice/eventstore"
	"boxoffice/internal/devstack"
	"boxoffice/internal/views"
)

// world is a log with its read models in a database of its own.
type world struct {
	db       *sqlx.DB
	store    *eventstore.Store
	head     eventstore.Head
	now      time.Time // of the next append
	versions map[string]int64
	offsets  map[place]int64 // the next offset of each partition
}

func newWorld(t testing.TB) *world {
	t.Helper()
	db := devstack.Postgres(t).Open(t)
	store := eventstore.New(db, eventstore.Config{})
	head, err := store.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().UTC().Add(-time.Hour).Truncate(time.Second)
	return &world{db: db, store: store, head: head, now: now, versions: map[string]int64{}, offsets: map[place]int64{}}
}

// append writes events in one append, a second after the one before.
func (w *world) append(t testing.TB, events ...domain.Event) []eventstore.Recorded {
	t.Helper()
	return w.appendFor(t, nil, events...)
}

// appendFor is append with the contact of the first event's order.
func (w *world) appendFor(t testing.TB, contact *eventstore.Contact, events ...domain.Event) []eventstore.Recorded {
	t.Helper()
	w.now = w.now.Add(time.Second)
	batch := eventstore.Batch{Head: w.head, Time: w.now}
	if contact != nil {
		batch.Contacts = []eventstore.Contact{*contact}
	}
	for _, ev := range events {
		stream := streamOf(ev)
		w.versions[stream]++
		batch.Events = append(batch.Events, stored(t, stream, w.versions[stream], ev).Event)
	}
	head, err := w.store.Append(t.Context(), batch)
	if err != nil {
		t.Fatal(err)
	}
	recorded := make([]eventstore.Recorded, len(batch.Events))
	for i, e := range batch.Events {
		recorded[i] = eventstore.Recorded{Event: e, Position: w.head.Position + int64(i) + 1, RecordedAt: w.now}
	}
	w.head = head
	return recorded
}

// messages gives events their places at the end of a partition.
func (w *world) messages(p place, events ...eventstore.Recorded) []Message {
	var batch []Message
	for _, e := range events {
		batch = append(batch, Message{Offset: w.offsets[p], Message: eventstore.ToMessage(e)})
		w.offsets[p]++
	}
	return batch
}

func (w *world) applier(p Projection) *Applier {
	return NewApplier(p, w.db, w.store, slog.New(slog.DiscardHandler))
}

// project applies events of the log to every read model, each with its own consumer.
func (w *world) project(t testing.TB, events ...eventstore.Recorded) {
	t.Helper()
	for _, p := range All() {
		at := place{topic: p.Definition().Name + "/" + fmt.Sprint(w.head.Position)}
		a := w.applier(p)
		start(t, a, at, 0, 0)
		apply(t, a, at, w.messages(at, events...))
	}
}

// happens appends events and projects them.
func (w *world) happens(t testing.TB, events ...domain.Event) []eventstore.Recorded {
	t.Helper()
	recorded := w.append(t, events...)
	w.project(t, recorded...)
	return recorded
}

func start(t testing.TB, a *Applier, p place, oldest, newest int64) int64 {
	t.Helper()
	offset, err := a.Start(t.Context(), p.topic, p.partition, oldest, newest)
	if err != nil {
		t.Fatal(err)
	}
	return offset
}

func apply(t testing.TB, a *Applier, p place, batch []Message) {
	t.Helper()
	if err := a.Apply(t.Context(), p.topic, p.partition, batch); err != nil {
		t.Fatal(err)
	}
}

func (w *world) order(t testing.TB, id string) Row[OrderState] {
	t.Helper()
	rows, err := loadOrders(t.Context(), w.db, []string{id})
	if err != nil {
		t.Fatal(err)
	}
	return rows[id]
}

// facts is what an order's row shows.
func facts(t interface {
	Helper()
	Fatal(args ...any)
}, row Row[OrderState],
) views.OrderFacts {
	t.Helper()
	f, err := row.State.Facts(row.Version)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func (w *world) parked(t testing.TB) []Parked {
	t.Helper()
	parked, err := ParkedStreams(t.Context(), w.db, 100)
	if err != nil {
		t.Fatal(err)
	}
	return parked
}

// stored is an event as the log has it.
func stored(t testing.TB, stream string, version int64, ev domain.Event) eventstore.Recorded {
	t.Helper()
	data, err := domain.Encode(ev)
	if err != nil {
		t.Fatal(err)
	}
	return eventstore.Recorded{Event: eventstore.Event{
		Stream: stream, Version: version, Type: ev.EventType(), SchemaVersion: int16(domain.SchemaVersion(ev.EventType())),
		Data: data, Metadata: []byte(`{"batch":"test"}`),
	}, Position: version, RecordedAt: noon}
}

func streamOf(ev domain.Event) string {
	switch ev := ev.(type) {
	case domain.ShowCreated:
		return domain.ShowStream(ev.ShowID)
	case domain.ShowChanged:
		return domain.ShowStream(ev.ShowID)
	case domain.TicketTypeAdded:
		return domain.ShowStream(ev.ShowID)
	case domain.TicketTypeChanged:
		return domain.ShowStream(ev.ShowID)
	case domain.SalesPaused:
		return domain.ShowStream(ev.ShowID)
	case domain.SalesResumed:
		return domain.ShowStream(ev.ShowID)
	case domain.ShowCanceled:
		return domain.ShowStream(ev.ShowID)
	case domain.TicketsHeld:
		return domain.ShowStream(ev.ShowID)
	case domain.TicketsSold:
		return domain.ShowStream(ev.ShowID)
	case domain.TicketsReturned:
		return domain.ShowStream(ev.ShowID)
	case domain.OrderPlaced:
		return domain.OrderStream(ev.OrderID)
	case domain.OrderConfirmed:
		return domain.OrderStream(ev.OrderID)
	case domain.OrderPaymentChanged:
		return domain.OrderStream(ev.OrderID)
	case domain.OrderCompleted:
		return domain.OrderStream(ev.OrderID)
	case domain.OrderCanceled:
		return domain.OrderStream(ev.OrderID)
	case domain.OrderRefunded:
		return domain.OrderStream(ev.OrderID)
	case domain.PaymentRequested:
		return domain.PaymentStream(ev.PaymentID)
	case domain.PaymentSettled:
		return domain.PaymentStream(ev.PaymentID)
	case domain.PaymentMismatched:
		return domain.PaymentStream(ev.PaymentID)
	case domain.RefundFailed:
		return domain.PaymentStream(ev.PaymentID)
	case domain.PaymentUnmatched:
		return domain.InboxStream(ev.ReceivedAt)
	case domain.OpenItemResolved:
		stream, _, _ := strings.Cut(ev.Item, ":")
		return stream
	default:
		panic(fmt.Sprintf("no stream for %T", ev))
	}
}
