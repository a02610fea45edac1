package verify

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"testing"
	"time"

	"boxoffice/domain"
	"boxoffice/eventstore"
)

// entry is an event to come: its version and position follow from where it stands.
type entry struct {
	stream string
	event  domain.Event
}

// appends are the commits of a log, each with its events.
type appends [][]entry

// memoryLog is a log as it may be stored, sound or not.
type memoryLog struct {
	events []eventstore.Recorded
	end    eventstore.Head
	grow   func(l *memoryLog) // called at every look at the head
}

func (l *memoryLog) head(context.Context) (eventstore.Head, error) {
	if l.grow != nil {
		l.grow(l)
	}
	return l.end, nil
}

func (l *memoryLog) page(_ context.Context, after int64, limit int) ([]eventstore.Recorded, error) {
	from := slices.IndexFunc(l.events, func(e eventstore.Recorded) bool { return e.Position > after })
	if from < 0 {
		return nil, nil
	}
	return slices.Clone(l.events[from:min(from+limit, len(l.events))]), nil
}

func (l *memoryLog) stream(_ context.Context, name string, after int64, limit int) (page []eventstore.Recorded, err error) {
	for _, e := range l.events {
		if e.Stream == name && e.Version > after && len(page) < limit {
			page = append(page, e)
		}
	}
	return page, nil
}

func begin() time.Time { return time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC) }

// write makes a log of appends, one a second, with sound positions, versions, times and hashes.
func write(t testing.TB, commits appends) *memoryLog {
	t.Helper()
	log := &memoryLog{}
	for _, commit := range commits {
		log.append(t, commit)
	}
	return log
}

func (l *memoryLog) append(t testing.TB, commit []entry) {
	t.Helper()
	b := batch(t, l.end, commit, func(stream string) int64 {
		for _, e := range slices.Backward(l.events) {
			if e.Stream == stream {
				return e.Version
			}
		}
		return 0
	})
	for i, e := range b.Events {
		l.events = append(l.events, eventstore.Recorded{Event: e, Position: l.end.Position + int64(i) + 1, RecordedAt: b.Time})
	}
	l.end.Hash = eventstore.Chain(l.end.Hash, b.Events, b.Time, l.end.Position+1)
	l.end.Position += int64(len(b.Events))
	l.end.Time = b.Time
	l.events[len(l.events)-1].Hash = l.end.Hash
}

// batch is a commit as it is appended after a head, a second later.
func batch(t testing.TB, head eventstore.Head, commit []entry, versionOf func(stream string) int64) eventstore.Batch {
	t.Helper()
	b := eventstore.Batch{Head: head, Time: begin()}
	if head.Position > 0 {
		b.Time = head.Time.Add(time.Second)
	}
	versions := map[string]int64{}
	for _, one := range commit {
		if _, known := versions[one.stream]; !known {
			versions[one.stream] = versionOf(one.stream)
		}
		versions[one.stream]++
		data, err := json.Marshal(one.event)
		if err != nil {
			t.Fatal(err)
		}
		b.Events = append(b.Events, eventstore.Event{
			Stream: one.stream, Version: versions[one.stream], Type: one.event.EventType(), SchemaVersion: 1,
			Data: data, Metadata: json.RawMessage(`{"batch":"b"}`),
		})
	}
	return b
}

// The orders of the story.
const (
	orderA = "ORDER-20261122-0000000a" // completed, paid twice, canceled by an operator
	orderB = "ORDER-20261122-0000000b" // expired, paid late and completed
	orderC = "ORDER-20261122-0000000c" // canceled by its customer, paid late and refunded, which failed
	orderD = "ORDER-20261122-0000000d" // waits, paid with a wrong amount
)

func payID(orderID string) string { return "PAY-" + orderID[len("ORDER-"):] + "-1" }

func holdID(orderID string, n int) string {
	return "HOLD-" + orderID[len("ORDER-"):] + "-" + strconv.Itoa(n)
}

func onShow(e domain.Event) entry                  { return entry{"show-1", e} }
func onOrder(orderID string, e domain.Event) entry { return entry{"order-" + orderID, e} }
func onPayment(order string, e domain.Event) entry { return entry{"payment-" + payID(order), e} }
func idr(amount int64) domain.Money                { return domain.Money{Amount: amount, Currency: "IDR"} }

func lines(pairs ...int64) (out []domain.HeldLine) {
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, domain.HeldLine{TicketTypeID: pairs[i], Quantity: pairs[i+1]})
	}
	return out
}

func moved(held1, sold1, held2, sold2 int64, members ...domain.Member) domain.Movement {
	return domain.Movement{ShowID: 1, Members: members, Totals: []domain.Totals{
		{TicketTypeID: 1, Capacity: 10, Held: held1, Sold: sold1}, {TicketTypeID: 2, Capacity: 5, Held: held2, Sold: sold2},
	}}
}

func part(orderID string, hold int, l []domain.HeldLine) domain.Member {
	return domain.Member{OrderID: orderID, HoldID: holdID(orderID, hold), CustomerRef: "c", Lines: l}
}

func prices() map[int64]int64 { return map[int64]int64{1: 100, 2: 50} }

func placed(orderID string, held []domain.HeldLine) []entry {
	o := domain.OrderPlaced{
		OrderStep: domain.OrderStep{OrderID: orderID, ShowID: 1, Status: domain.Pending},
		HoldID:    holdID(orderID, 1), PlacedAt: begin(), CustomerRef: "c", Total: idr(0),
		Payment: domain.PaymentSummary{PaymentID: payID(orderID), Attempt: 1, Status: domain.Requested, Method: domain.Card},
	}
	for _, l := range held {
		o.Lines = append(o.Lines, domain.Line{TicketTypeID: l.TicketTypeID, Quantity: l.Quantity, UnitPrice: prices()[l.TicketTypeID]})
		o.Total.Amount += l.Quantity * prices()[l.TicketTypeID]
	}
	return []entry{
		onOrder(orderID, o),
		onPayment(orderID, domain.PaymentRequested{PaymentStep: payStep(orderID, "", domain.Requested), Attempt: 1, Amount: o.Total}),
	}
}

func step(orderID string, from, to domain.OrderStatus) domain.OrderStep {
	return domain.OrderStep{OrderID: orderID, ShowID: 1, Previous: from, Status: to}
}

func payStep(orderID string, from, to domain.PaymentStatus) domain.PaymentStep {
	return domain.PaymentStep{PaymentID: payID(orderID), OrderID: orderID, ShowID: 1, Previous: from, Status: to}
}

func shownPayment(orderID string, s domain.PaymentStatus) domain.PaymentSummary {
	return domain.PaymentSummary{PaymentID: payID(orderID), Attempt: 1, Status: s, Method: domain.Card}
}

func confirmedOrder(orderID string) []entry {
	return []entry{
		onPayment(orderID, domain.PaymentInstructed{PaymentStep: payStep(orderID, domain.Requested, domain.Instructed)}),
		onOrder(orderID, domain.OrderConfirmed{OrderStep: step(orderID, domain.Pending, domain.Confirmed), Payment: shownPayment(orderID, domain.Instructed)}),
	}
}

func settledPayment(orderID string, from domain.PaymentStatus, amount int64) entry {
	return onPayment(orderID, domain.PaymentSettled{PaymentStep: payStep(orderID, from, domain.Settled), Amount: idr(amount), SettledAt: begin()})
}

func completedOrder(orderID string, from domain.OrderStatus, hold int, types ...int64) entry {
	e := domain.OrderCompleted{
		OrderStep: step(orderID, from, domain.Completed), HoldID: holdID(orderID, hold), Late: from == domain.Canceled,
		Payment: shownPayment(orderID, domain.Settled),
	}
	for i, ticketType := range types {
		e.Tickets = append(e.Tickets, domain.Ticket{TicketID: domain.TicketID(orderID, i+1), TicketTypeID: ticketType})
	}
	return onOrder(orderID, e)
}

func canceledOrder(orderID string, from domain.OrderStatus, why domain.CancelReason, p domain.PaymentStatus) entry {
	return onOrder(orderID, domain.OrderCanceled{OrderStep: step(orderID, from, domain.Canceled), Reason: why, Payment: shownPayment(orderID, p)})
}

func expiredPayment(orderID string, from domain.PaymentStatus) entry {
	return onPayment(orderID, domain.PaymentExpired{PaymentStep: payStep(orderID, from, domain.Expired)})
}

func requestedRefund(orderID, refundID string, amount int64, status domain.OrderStatus) []entry {
	return []entry{
		onPayment(orderID, domain.RefundRequested{PaymentStep: payStep(orderID, domain.Settled, domain.Settled), RefundID: refundID, Amount: idr(amount)}),
		refundStep(orderID, refundID, amount, status, domain.RefundDue),
	}
}

func refundStep(orderID, refundID string, amount int64, status domain.OrderStatus, refund domain.RefundStatus) entry {
	return onOrder(orderID, domain.OrderRefunded{
		OrderStep: step(orderID, status, status), RefundID: refundID, PaymentID: payID(orderID), Refund: refund, Amount: idr(amount),
	})
}

// The commits of the story, by what they tell.
const (
	commitShow = iota
	commitPlaced
	commitConfirmed
	commitPaid
	commitExpired
	commitLate
	commitPaidTwice
	commitRefunded
	commitCustomer
	commitLateRefund
	commitRefundFailed
	commitOddMoney
	commitResolved
	commitOperator
)

// story is a sound log in which everything happens once.
func story() appends {
	a, b, c, d := lines(1, 2), lines(1, 1, 2, 1), lines(2, 1), lines(1, 1)
	inbox := "inbox-202611"
	placing := []entry{onShow(domain.TicketsHeld{Movement: moved(4, 0, 2, 0, part(orderA, 1, a), part(orderB, 1, b), part(orderC, 1, c), part(orderD, 1, d))})}
	placing = slices.Concat(placing, placed(orderA, a), placed(orderB, b), placed(orderC, c), placed(orderD, d))
	return appends{
		commitShow: {onShow(domain.ShowCreated{
			ShowID: 1, Name: "Gala", Venue: "Hall", Currency: "IDR", TimeZone: "UTC",
			TicketTypes: []domain.TicketType{{TicketTypeID: 1, Name: "Stalls", Price: 100, Capacity: 10}, {TicketTypeID: 2, Name: "Circle", Price: 50, Capacity: 5}},
			Totals:      moved(0, 0, 0, 0).Totals,
		})},
		commitPlaced:    placing,
		commitConfirmed: confirmedOrder(orderA),
		commitPaid: {
			onShow(domain.TicketsSold{Movement: moved(2, 2, 2, 0, part(orderA, 1, a))}),
			settledPayment(orderA, domain.Instructed, 200), completedOrder(orderA, domain.Confirmed, 1, 1, 1),
		},
		commitExpired: {
			onShow(domain.HoldsExpired{Movement: moved(1, 2, 1, 0, part(orderB, 1, b))}),
			canceledOrder(orderB, domain.Pending, domain.ReasonHoldExpired, domain.Expired), expiredPayment(orderB, domain.Requested),
		},
		commitLate: {
			onShow(domain.HoldReacquired{Movement: moved(2, 2, 2, 0, part(orderB, 2, b))}),
			onShow(domain.TicketsSold{Movement: moved(1, 3, 1, 1, part(orderB, 2, b))}),
			settledPayment(orderB, domain.Expired, 150), completedOrder(orderB, domain.Canceled, 2, 1, 2),
		},
		commitPaidTwice: slices.Concat([]entry{settledPayment(orderA, domain.Settled, 200)}, requestedRefund(orderA, "REFUND-A-1", 200, domain.Completed)),
		commitRefunded: {
			onPayment(orderA, domain.RefundCompleted{PaymentStep: payStep(orderA, domain.Settled, domain.Settled), RefundID: "REFUND-A-1", Amount: idr(200)}),
			refundStep(orderA, "REFUND-A-1", 200, domain.Completed, domain.RefundDone),
		},
		commitCustomer: {
			onShow(domain.HoldsReleased{Movement: moved(1, 3, 0, 1, part(orderC, 1, c))}),
			canceledOrder(orderC, domain.Pending, domain.ReasonCustomer, domain.Expired), expiredPayment(orderC, domain.Requested),
		},
		commitLateRefund: slices.Concat([]entry{settledPayment(orderC, domain.Expired, 50)}, requestedRefund(orderC, "REFUND-C-1", 50, domain.Canceled)),
		commitRefundFailed: {
			onPayment(orderC, domain.RefundFailed{PaymentStep: payStep(orderC, domain.Settled, domain.Settled), RefundID: "REFUND-C-1", Amount: idr(50), Attempts: 9}),
			refundStep(orderC, "REFUND-C-1", 50, domain.Canceled, domain.RefundLost),
		},
		commitOddMoney: {
			onPayment(orderD, domain.PaymentMismatched{PaymentStep: payStep(orderD, domain.Requested, domain.Requested), Mismatch: domain.WrongAmount, Expected: idr(100), Received: idr(99)}),
			{inbox, domain.PaymentUnmatched{Gateway: "simulator", PaymentID: "PAY-unknown", Amount: idr(7), GatewayStatus: "PAID"}},
		},
		commitResolved: {
			{inbox, domain.OpenItemResolved{Item: inbox + ":1", Reason: "sent back by hand"}},
			onPayment(orderC, domain.OpenItemResolved{Item: "payment-" + payID(orderC) + ":5", Reason: "sent back by hand"}),
		},
		commitOperator: slices.Concat([]entry{
			onShow(domain.TicketsReturned{Movement: moved(1, 1, 0, 1, part(orderA, 1, a))}),
			canceledOrder(orderA, domain.Completed, domain.ReasonOperator, domain.Settled),
		}, requestedRefund(orderA, "REFUND-A-2", 200, domain.Canceled)),
	}
}

// pausing pauses and resumes in turn.
func pausing(n int) domain.Event {
	if n%2 == 0 {
		return domain.SalesPaused{ShowID: 1, Totals: moved(0, 0, 0, 0).Totals}
	}
	return domain.SalesResumed{ShowID: 1, Totals: moved(0, 0, 0, 0).Totals}
}

// shortLog ends early.
type shortLog struct {
	reader
	stop int64
}

func (l *shortLog) head(ctx context.Context) (eventstore.Head, error) {
	page, err := l.page(ctx, l.stop-1, 1)
	if err != nil || len(page) == 0 {
		return eventstore.Head{}, err
	}
	return eventstore.Head{Position: l.stop, Time: page[0].RecordedAt, Hash: page[0].Hash}, nil
}

func (l *shortLog) page(ctx context.Context, after int64, limit int) ([]eventstore.Recorded, error) {
	page, err := l.reader.page(ctx, after, limit)
	return slices.DeleteFunc(page, func(e eventstore.Recorded) bool { return e.Position > l.stop }), err
}
