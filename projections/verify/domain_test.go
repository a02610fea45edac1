package verify

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"pgregory.net/rapid"

	"boxoffice/domain"
	"boxoffice/eventstore"
)

// TestWhateverTheDomainDecidesIsSound lets the domain decide at random and judges its log: the two share
// no code, so a rule that one of them has wrong shows here.
func TestWhateverTheDomainDecidesIsSound(t *testing.T) {
	t.Parallel()
	seen := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		w := anyWorld(1, 20)(t)
		r, err := run(t.Context(), w.log, nil, Config{})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range r.Findings {
			t.Errorf("found %+v", f)
		}
		for _, b := range r.Money {
			if b.Settled != b.Sold+b.Refunds {
				t.Errorf("the balance is %+v", b)
			}
		}
		if rows := len(w.states.Orders); int64(rows) != r.Orders {
			t.Errorf("%d orders were judged, there are %d", r.Orders, rows)
		}
		for _, e := range w.log.events {
			seen[e.Type]++
		}
	})
	for _, eventType := range []string{"HoldsReleased", "HoldsExpired", "HoldReacquired", "TicketsSold", "TicketsReturned", "RefundRequested", "PaymentMismatched"} {
		if seen[eventType] == 0 {
			t.Errorf("no %s in any of the logs: %v", eventType, seen)
		}
	}
}

// TestWhateverTheDomainDecidesIsFoldedAlike projects logs of the same kind, with all that may happen to a show, and
// compares every column of what two folds that share no code have made of them.
func TestWhateverTheDomainDecidesIsFoldedAlike(t *testing.T) {
	t.Parallel()
	seen := map[string]int{}
	worlds := rapid.Custom(anyWorld(80, 120))
	for seed := range 4 {
		w := worlds.Example(seed)
		db := empty(t)
		appendLog(t, db, w.log)
		project(t, db, math.MaxInt64)
		r, err := Run(t.Context(), db, Config{Wait: time.Nanosecond})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range r.Findings {
			t.Errorf("seed %d: found %+v", seed, f)
		}
		if r.Rows["order_status"] != int(r.Orders) || r.Events != w.log.end.Position {
			t.Errorf("seed %d: of %d orders and %d events, %+v were compared", seed, r.Orders, w.log.end.Position, r.Rows)
		}
		for _, e := range w.log.events {
			seen[e.Type]++
		}
	}
	for _, eventType := range []string{"ShowChanged", "TicketTypeAdded", "TicketTypeChanged", "SalesPaused", "SalesResumed", "ShowCanceled", "OrderPaymentChanged", "OrderRefunded"} {
		if seen[eventType] == 0 {
			t.Errorf("no %s in any of the logs: %v", eventType, seen)
		}
	}
}

// appendLog stores a log that was made in memory, append by append.
func appendLog(t *testing.T, db *sqlx.DB, log *memoryLog) {
	t.Helper()
	store := eventstore.New(db, eventstore.Config{})
	head, err := store.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var open []eventstore.Event
	for _, e := range log.events {
		if open = append(open, e.Event); e.Hash == nil {
			continue
		}
		if head, err = store.Append(t.Context(), eventstore.Batch{Head: head, Time: e.RecordedAt, Events: open}); err != nil {
			t.Fatal(err)
		}
		open = nil
	}
}

// anyWorld draws what happens to two shows in so many batches.
func anyWorld(least, most int) func(t *rapid.T) *world {
	return func(t *rapid.T) *world {
		w := &world{log: &memoryLog{}, states: domain.NewStates(), at: begin(), streams: map[string]int64{}}
		w.decide(t, createShow(1), createShow(2))
		for range rapid.IntRange(least, most).Draw(t, "batches") {
			w.at = w.at.Add(time.Duration(rapid.IntRange(0, 400).Draw(t, "seconds")) * time.Second)
			w.decide(t, rapid.SliceOfN(rapid.Custom(w.command), 1, 8).Draw(t, "commands")...)
		}
		return w
	}
}

// world is a log of what the domain decided, and the states folded from it.
type world struct {
	log     *memoryLog
	states  domain.States
	at      time.Time
	orders  uint32
	streams map[string]int64
}

func createShow(id int64) domain.Command {
	return domain.CreateShow{
		ShowID: id, Name: "Gala", Venue: "Hall", StartsAt: begin().AddDate(1, 0, 0), TimeZone: "UTC", Currency: "IDR",
		TicketTypes: []domain.TicketType{
			{TicketTypeID: 1, Name: "Stalls", Price: 100, Capacity: 5, MaxPerOrder: 4},
			{TicketTypeID: 2, Name: "Circle", Price: 50, Capacity: 3, MaxPerOrder: 4},
		},
	}
}

// decide runs commands as one batch and appends what they come to.
func (w *world) decide(t *rapid.T, commands ...domain.Command) {
	b := domain.NewBatch(w.at, w.states)
	commands = append(commands, domain.EndDue{ShowID: 1}, domain.EndDue{ShowID: 2})
	slices.SortStableFunc(commands, func(x, y domain.Command) int { return cmp.Compare(b.Phase(x), b.Phase(y)) })
	for i, c := range commands {
		_, err := b.Decide(fmt.Sprint("command-", i), c) // a refusal is an outcome too
		if _, creates := c.(domain.CreateShow); creates && err != nil {
			t.Fatal(err)
		}
	}
	var events []eventstore.Event
	for _, d := range b.Events() {
		data, err := domain.Encode(d.Event)
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, eventstore.Event{
			Stream: d.Stream, Version: d.Version, Type: d.Event.EventType(), SchemaVersion: 1, Data: data, Metadata: json.RawMessage(`{}`),
		})
	}
	if len(events) == 0 {
		return
	}
	for i, d := range b.Events() {
		w.states.Evolve(d.Stream, d.Version, d.Event)
		w.log.events = append(w.log.events, eventstore.Recorded{Event: events[i], Position: w.log.end.Position + int64(i) + 1, RecordedAt: w.at})
	}
	hash := eventstore.Chain(w.log.end.Hash, events, w.at, w.log.end.Position+1)
	w.log.end = eventstore.Head{Position: w.log.end.Position + int64(len(events)), Time: w.at, Hash: hash}
	w.log.events[len(w.log.events)-1].Hash = hash
}

// command draws a command on what there is.
func (w *world) command(t *rapid.T) domain.Command {
	orderID := rapid.SampledFrom(append(slices.Sorted(maps.Keys(w.states.Orders)), orderA)).Draw(t, "order")
	paymentID := rapid.SampledFrom(append(slices.Sorted(maps.Keys(w.states.Payments)), payID(orderA))).Draw(t, "payment")
	showID := rapid.Int64Range(1, 2).Draw(t, "show")
	switch rapid.IntRange(0, 14).Draw(t, "kind") {
	case 0, 1, 2, 3:
		w.orders++
		return domain.PlaceOrder{
			OrderID: domain.OrderID(begin(), w.orders), ShowID: showID, CustomerRef: "c", TTL: 5 * time.Minute,
			Method: rapid.SampledFrom([]domain.PaymentMethod{domain.QRIS, domain.Card}).Draw(t, "method"),
			Lines:  []domain.HeldLine{{TicketTypeID: 1, Quantity: rapid.Int64Range(1, 3).Draw(t, "stalls")}, {TicketTypeID: 2, Quantity: 1}}[:rapid.IntRange(1, 2).Draw(t, "lines")],
		}
	case 4, 5, 6:
		money := domain.SettlePayment{PaymentID: paymentID, GatewayStatus: "PAID", Reference: rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "reference")}
		if rapid.IntRange(0, 4).Draw(t, "wrong") == 0 {
			amount := rapid.Int64Range(0, 3).Draw(t, "amount")
			money.Amount, money.Currency = &amount, "IDR"
		}
		return money
	case 7:
		return domain.FailPayment{PaymentID: paymentID, GatewayStatus: "DENY"}
	case 8:
		return domain.CancelOrder{OrderID: orderID, ByOperator: rapid.Bool().Draw(t, "operator")}
	case 9:
		return domain.RequestPayment{OrderID: orderID, Method: domain.Card}
	case 10:
		return domain.RecordInstruction{PaymentID: paymentID, URL: "https://pay"}
	case 11:
		return domain.RecordRefund{PaymentID: paymentID, RefundID: domain.RefundID(paymentID, rapid.IntRange(1, 2).Draw(t, "refund")), Failed: rapid.Bool().Draw(t, "failed")}
	case 12:
		stream := rapid.SampledFrom([]string{domain.PaymentStream(paymentID), domain.InboxStream(w.at)}).Draw(t, "stream")
		return domain.ResolveOpenItem{Stream: stream, Version: rapid.Int64Range(1, 6).Draw(t, "version"), Reason: "done"}
	case 13:
		n := rapid.Int64Range(0, 8).Draw(t, "n")
		return domain.ChangeTicketType{ShowID: showID, TicketTypeID: 1, Capacity: &n, Price: &n}
	default:
		if rapid.IntRange(0, 3).Draw(t, "cancel") == 0 {
			return domain.CancelShow{ShowID: showID, Reason: "rain"}
		}
		name := "Gala again"
		return rapid.SampledFrom([]domain.Command{
			domain.PauseSales{ShowID: showID},
			domain.ResumeSales{ShowID: showID},
			domain.ResumeSales{ShowID: showID},
			domain.ChangeShow{ShowID: showID, Name: &name},
			domain.AddTicketType{ShowID: showID, TicketType: domain.TicketType{TicketTypeID: 3, Name: "Gods", Price: 10, Capacity: 1}},
		}).Draw(t, "change")
	}
}
