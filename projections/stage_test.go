package projections

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"boxoffice/domain"
	"boxoffice/eventstore"
)

// stage runs commands by the rules of the domain and keeps the log in memory, each command in an append of its own
// together with what is due.
type stage struct {
	t      testing.TB
	at     time.Time
	states domain.States
	log    []eventstore.Recorded
}

// newStage has show 1 with as many tickets of one type, on sale since noon.
func newStage(t testing.TB, capacity int64) *stage {
	t.Helper()
	s := &stage{t: t, at: noon, states: domain.NewStates()}
	s.run(domain.CreateShow{
		ShowID: 1, Name: "First night", Venue: "Hall 1", StartsAt: noon.Add(48 * time.Hour), TimeZone: "Asia/Jakarta", Currency: "IDR",
		TicketTypes: []domain.TicketType{ticketType(1, capacity)},
	})
	return s
}

// run takes steps one after another: a command or a pause.
func (s *stage) run(steps ...any) {
	s.t.Helper()
	for _, step := range steps {
		switch step := step.(type) {
		case time.Duration:
			s.at = s.at.Add(step)
		case domain.Command:
			s.decide(step)
		default:
			s.t.Fatalf("a step can't be a %T", step)
		}
	}
}

func (s *stage) decide(c domain.Command) {
	s.t.Helper()
	batch := domain.NewBatch(s.at, s.states)
	commands := []domain.Command{c, domain.EndDue{ShowID: 1}}
	slices.SortStableFunc(commands, func(a, b domain.Command) int { return batch.Phase(a) - batch.Phase(b) })
	for i, command := range commands {
		var refused *domain.Rejection
		if _, err := batch.Decide(fmt.Sprint("command-", i), command); err != nil && !errors.As(err, &refused) {
			s.t.Fatalf("%T: %v", command, err)
		}
	}
	for _, d := range batch.Events() {
		e := stored(s.t, d.Stream, d.Version, d.Event)
		e.Position, e.RecordedAt = int64(len(s.log))+1, s.at
		s.log = append(s.log, e)
		s.states.Evolve(d.Stream, d.Version, d.Event)
	}
}

// of are the events of an order and of its payments.
func (s *stage) of(orderID string) []eventstore.Recorded {
	var events []eventstore.Recorded
	for _, e := range s.log {
		_, id := domain.ParseStream(e.Stream)
		if of, ok := domain.OrderOf(id); ok && of == orderID {
			events = append(events, e)
		}
	}
	return events
}

func place1(n int, quantity int64, method domain.PaymentMethod) domain.PlaceOrder {
	return domain.PlaceOrder{
		OrderID: orderNumber(n), ShowID: 1, Lines: []domain.HeldLine{{TicketTypeID: 1, Quantity: quantity}}, CustomerRef: fmt.Sprint("ref-", n),
		Method: method, TTL: 15 * time.Minute,
	}
}

func instruct(attempt int) domain.RecordInstruction {
	return domain.RecordInstruction{PaymentID: domain.PaymentID(orderNumber(1), attempt), QR: "000201", ChargeID: "c"}
}

func settle(attempt int, reference string) domain.SettlePayment {
	return domain.SettlePayment{Gateway: "simulator", PaymentID: domain.PaymentID(orderNumber(1), attempt), Reference: reference}
}

func settleWith(amount int64, reference string) domain.SettlePayment {
	c := settle(1, reference)
	c.Amount, c.Currency = &amount, "IDR"
	return c
}

func fail(attempt int) domain.FailPayment {
	return domain.FailPayment{Gateway: "simulator", PaymentID: domain.PaymentID(orderNumber(1), attempt), GatewayStatus: "DENY", Detail: "no funds"}
}

func giveBack(refund int, failed bool) domain.RecordRefund {
	id := domain.PaymentID(orderNumber(1), 1)
	return domain.RecordRefund{PaymentID: id, RefundID: domain.RefundID(id, refund), Failed: failed, Attempts: 16, Detail: "closed account"}
}

func ofStream(events []eventstore.Recorded, stream string) []eventstore.Recorded {
	return slices.DeleteFunc(slices.Clone(events), func(e eventstore.Recorded) bool { return e.Stream != stream })
}
