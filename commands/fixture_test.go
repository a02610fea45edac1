package commands

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"boxoffice/domain"
	"boxoffice/eventstore"
	"boxoffice/internal/devstack"
)

func TestMain(m *testing.M) { devstack.Main(m) }

// office is a log with writers on it.
type office struct {
	t     *testing.T
	url   string
	db    *sqlx.DB
	store *eventstore.Store
}

func newOffice(t *testing.T) *office {
	t.Helper()
	return officeAt(t, devstack.Postgres(t).URL)
}

func officeAt(t *testing.T, url string) *office {
	t.Helper()
	db, err := eventstore.OpenDB(url, 8)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return &office{t: t, url: url, db: db, store: eventstore.New(db, eventstore.Config{})}
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// writer starts a writer with connections of its own and returns it with what stops it.
func (o *office) writer() (w *Writer, stop func()) {
	o.t.Helper()
	other := officeAt(o.t, o.url)
	w = NewWriter(other.store, quiet(), Observer{}, nil)
	ctx, cancel := context.WithCancel(o.t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := w.Run(ctx); err != nil {
			o.t.Errorf("writer: %v", err)
		}
	})
	stop = sync.OnceFunc(func() {
		cancel()
		running.Wait()
	})
	o.t.Cleanup(stop)
	return w, stop
}

func createShow(id, capacity int64, change ...func(*domain.TicketType)) domain.CreateShow {
	tt := domain.TicketType{TicketTypeID: 1, Name: "Standard", Price: 150000, Capacity: capacity}
	for _, c := range change {
		c(&tt)
	}
	return domain.CreateShow{
		ShowID: id, Name: "Show", Venue: "Hall", StartsAt: time.Now().Add(1000 * time.Hour).UTC().Truncate(time.Second),
		TimeZone: "Asia/Jakarta", Currency: "IDR", TicketTypes: []domain.TicketType{tt},
	}
}

func place(show, quantity int64, customer string) domain.PlaceOrder {
	return domain.PlaceOrder{
		ShowID: show, Lines: []domain.HeldLine{{TicketTypeID: 1, Quantity: quantity}},
		CustomerRef: customer, Method: domain.QRIS, TTL: 15 * time.Minute,
	}
}

// do sends a command that must be accepted.
func do(t *testing.T, w *Writer, c domain.Command, o ...Origin) Answer {
	t.Helper()
	from := Origin{Actor: "test"}
	if len(o) > 0 {
		from = o[0]
	}
	a, err := w.Do(t.Context(), c, from)
	if err != nil {
		t.Fatalf("%T: %v", c, err)
	}
	return a
}

// refused sends a command that must be refused with a code.
func refused(t *testing.T, w *Writer, c domain.Command, code domain.Code, o ...Origin) *domain.Rejection {
	t.Helper()
	var from Origin
	if len(o) > 0 {
		from = o[0]
	}
	_, err := w.Do(t.Context(), c, from)
	rejection, ok := errors.AsType[*domain.Rejection](err)
	if !ok || rejection.Code != code {
		t.Fatalf("%T: want rejection %s, got %v", c, code, err)
	}
	return rejection
}

func keyed(key, body string) Origin {
	return Origin{Actor: "test", Request: Request{Key: eventstore.NewRequestKey("test", "me", key), Body: body}}
}

// events reads the whole log.
func (o *office) events() []eventstore.Recorded {
	o.t.Helper()
	var all []eventstore.Recorded
	for {
		after := int64(0)
		if n := len(all); n > 0 {
			after = all[n-1].Position
		}
		page, err := o.store.ReadAll(o.t.Context(), after, 5000)
		if err != nil {
			o.t.Fatal(err)
		}
		if len(page) == 0 {
			return all
		}
		all = append(all, page...)
	}
}

// totals folds a show from the log.
func (o *office) totals(show int64) domain.Totals {
	o.t.Helper()
	state, err := loadShow(o.t.Context(), o.store, show)
	if err != nil || state.Version == 0 {
		o.t.Fatalf("show %d: version %d, %v", show, state.Version, err)
	}
	return state.Totals()[0]
}

func (o *office) count(eventType string) int {
	n := 0
	for _, e := range o.events() {
		if e.Type == eventType {
			n++
		}
	}
	return n
}

func eventually(t *testing.T, what string, ok func() error) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		err := ok()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %v", what, err)
		}
		<-time.After(10 * time.Millisecond)
	}
}

func must(cond bool, format string, args ...any) error {
	if cond {
		return nil
	}
	return fmt.Errorf(format, args...)
}
