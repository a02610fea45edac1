package domain

import (
	"errors"
	"testing"
	"time"
)

// FuzzBatch: no command panics, whatever its ids, numbers and times, and what it decides can be stored.
func FuzzBatch(f *testing.F) {
	f.Add(byte(0), order1, "ann", int64(1), int64(1), int64(600))
	f.Add(byte(2), pay1, "r1", int64(150_000), int64(0), int64(0))
	f.Add(byte(4), PaymentStream(pay1), "why", int64(1), int64(2), int64(0))
	f.Add(byte(8), "IDR", "Asia/Jakarta", int64(7), int64(10), int64(-1))
	f.Add(byte(9), "PAY-", "", int64(-1), int64(1)<<62, int64(1)<<62)
	f.Fuzz(func(t *testing.T, kind byte, a, b string, n, m, seconds int64) {
		w := newWorld(t)
		w.run(concert(), byCard(place(1, "ann")), place(1, "bob"), paid(order2, "r0"))
		at := begin.Add(time.Duration(seconds%1_000_000) * time.Second)
		batch := NewBatch(at, w.states)
		c := oddCommand(kind, a, b, n, m, time.Unix(seconds, 0))
		_ = batch.Phase(c)
		_ = c.Needs()
		_, err := batch.Decide("fuzz", c)
		var r *Rejection
		if errors.As(err, &r) && r.Detail == "" {
			t.Fatalf("a rejection without a word: %+v", r)
		}
		if err != nil && len(batch.Events()) > 0 {
			t.Fatalf("%v left events", err)
		}
		w.at = at
		w.store(batch)
	})
}

func oddCommand(kind byte, a, b string, n, m int64, at time.Time) Command {
	switch kind % 17 {
	case 0:
		return PlaceOrder{OrderID: a, ShowID: 1, Lines: []HeldLine{{TicketTypeID: n, Quantity: m}}, CustomerRef: b, TTL: time.Duration(m), RequestedAt: at}
	case 1:
		return PlaceOrder{OrderID: OrderID(begin, 9), ShowID: 1, Lines: []HeldLine{{TicketTypeID: 1, Quantity: n}, {TicketTypeID: 2, Quantity: m}}, Method: PaymentMethod(a), TTL: ttl, RequestedAt: at}
	case 2:
		return SettlePayment{PaymentID: a, Reference: b, Amount: &n, Currency: "IDR"}
	case 3:
		return SettlePayment{PaymentID: a, Reference: b, Currency: b}
	case 4:
		return ResolveOpenItem{a, n, b}
	case 5:
		return RecordInstruction{PaymentID: a, URL: b, ExpiresAt: at}
	case 6:
		return RecordRefund{PaymentID: a, RefundID: b, Failed: n > 0}
	case 7:
		return FailPayment{PaymentID: a, Detail: b}
	case 8:
		return CreateShow{
			ShowID: n, Name: a, Venue: b, StartsAt: at, TimeZone: b, Currency: a,
			TicketTypes: []TicketType{{TicketTypeID: n, Name: b, Price: m, Capacity: n, SalesFrom: at}},
		}
	case 9:
		return RequestPayment{a, PaymentMethod(b)}
	case 10:
		return CancelOrder{a, n > 0, b}
	case 11:
		return ChangeShow{1, &a, &b, &at}
	case 12:
		return AddTicketType{1, TicketType{TicketTypeID: n, Name: a, Price: m, Capacity: m, SalesTo: at}}
	case 13:
		return ChangeTicketType{ShowID: 1, TicketTypeID: n, Name: &a, Price: &m, Capacity: &m, SalesFrom: &at}
	case 14:
		return EndDue{n}
	case 15:
		return ReturnTickets{n, []string{a, b}}
	default:
		return CancelShow{n, a}
	}
}
