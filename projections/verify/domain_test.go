package verify

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

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
		w := &world{log: &memoryLog{}, states: domain.NewStates(), at: begin(), streams: map[string]int64{}}
		w.decide(t, createShow(1), createShow(2))
		for range rapid.IntRange(1, 20).Draw(t, "batches") {
			w.at = w.at.Add(time.Duration(rapid.IntRange(0, 400).Draw(t, "seconds")) * time.Second)
			w.decide(t, rapid.SliceOfN(rapid.Custom(w.command), 1, 8).Draw(t, "commands")...)
		}
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
