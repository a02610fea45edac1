package domain

import "time"

// samples is one event of every type, in the form in which the first one was stored, with every field of that
// form filled in. They are the golden files' content.
func samples() []Event {
	return slicesOf(showSamples(), movementSamples(), orderSamples(), paymentSamples())
}

// laterForms are events with the fields that their types have got since, by the names of their golden files: the
// type, and what is new. The first form stays beside them, because logs are full of it.
func laterForms() map[string]Event {
	priced := sampleMovement([]HeldLine{{1, 2, 150_000}, {3, 1, 90_000}})
	return map[string]Event{
		"TicketsSold.priced":     TicketsSold{priced},
		"TicketsReturned.priced": TicketsReturned{priced},
	}
}

// neverFilled are fields that a type shares with others and has no use for: a hold has no price.
func neverFilled() []string {
	var fields []string
	for _, name := range []string{"TicketsHeld", "HoldsReleased", "HoldsExpired", "HoldReacquired"} {
		fields = append(fields, name+".Movement.Members[].Lines[].UnitPrice")
	}
	return fields
}

// forms are all samples by the names of their golden files.
func forms() map[string]Event {
	all := laterForms()
	for _, e := range samples() {
		all[e.EventType()] = e
	}
	return all
}

func slicesOf(parts ...[]Event) []Event {
	var all []Event
	for _, part := range parts {
		all = append(all, part...)
	}
	return all
}

var (
	sampleTime  = time.Date(2025, 2, 5, 12, 0, 0, 123456000, time.UTC)
	sampleMoney = Money{Amount: 300_000, Currency: "IDR"}
	sampleTotal = []Totals{{TicketTypeID: 1, Capacity: 2000, Held: 2, Sold: 7}}
	sampleType  = TicketType{
		TicketTypeID: 1, Name: "Tribün <A> & “B”", Price: 150_000, Capacity: 2000, MaxPerOrder: 6, MaxPerCustomer: 8,
		SalesFrom: sampleTime, SalesTo: sampleTime.Add(time.Hour),
	}
)

const (
	sampleOrder   = "ORDER-20250205-338aa78d"
	samplePayment = "PAY-20250205-338aa78d-1"
	sampleRefund  = "REFUND-20250205-338aa78d-1-1"
	sampleHold    = "HOLD-20250205-338aa78d-1"
)

func showSamples() []Event {
	return []Event{
		ShowCreated{
			ShowID: 42, Name: "Concert", Venue: "Hall", StartsAt: sampleTime, TimeZone: "Asia/Jakarta", Currency: "IDR",
			PaymentMethods: []PaymentMethod{QRIS, Card}, TicketTypes: []TicketType{sampleType}, Totals: sampleTotal,
		},
		ShowChanged{ShowID: 42, Name: "Concert", Venue: "Hall", StartsAt: sampleTime, Totals: sampleTotal},
		TicketTypeAdded{ShowID: 42, TicketType: sampleType, Totals: sampleTotal},
		TicketTypeChanged{ShowID: 42, TicketType: sampleType, Totals: sampleTotal},
		SalesPaused{ShowID: 42, Totals: sampleTotal},
		SalesResumed{ShowID: 42, Totals: sampleTotal},
		ShowCanceled{ShowID: 42, Reason: "storm", Totals: sampleTotal},
	}
}

func sampleMovement(lines []HeldLine) Movement {
	return Movement{
		ShowID: 42,
		Members: []Member{{
			OrderID: sampleOrder, HoldID: sampleHold, CommandID: "command-1", CustomerRef: "c0ffee",
			Lines: lines, ExpiresAt: sampleTime, ReleaseAt: sampleTime.Add(time.Minute),
		}},
		Totals: sampleTotal,
	}
}

func movementSamples() []Event {
	movement := sampleMovement([]HeldLine{{TicketTypeID: 1, Quantity: 2}, {TicketTypeID: 3, Quantity: 1}})
	return []Event{
		TicketsHeld{movement},
		HoldsReleased{movement},
		HoldsExpired{movement},
		HoldReacquired{movement},
		TicketsSold{movement},
		TicketsReturned{movement},
	}
}

func orderSamples() []Event {
	step := OrderStep{OrderID: sampleOrder, ShowID: 42, Previous: Pending, Status: Confirmed}
	payment := PaymentSummary{
		PaymentID: samplePayment, Attempt: 1, Status: Instructed, Method: QRIS, QR: "000201", URL: "https://pay.example/?a=1&b=2",
		ExpiresAt: sampleTime,
	}
	return []Event{
		OrderPlaced{
			OrderStep: step, CustomerRef: "c0ffee", Lines: []Line{{1, 2, 150_000}}, Total: sampleMoney, HoldID: sampleHold,
			PlacedAt: sampleTime, ExpiresAt: sampleTime, ReleaseAt: sampleTime, RequestedAt: sampleTime, Payment: payment,
		},
		OrderConfirmed{OrderStep: step, Payment: payment},
		OrderPaymentChanged{OrderStep: step, Payment: payment},
		OrderCompleted{
			OrderStep: step, Late: true, HoldID: sampleHold, CompletedAt: sampleTime, Reference: "gw-1", Payment: payment,
			Tickets: []Ticket{{"TICKET-20250205-338aa78d-1", 1}},
		},
		OrderCanceled{OrderStep: step, Reason: ReasonOperator, Note: "asked by phone", CanceledAt: sampleTime, Payment: payment},
		OrderRefunded{
			OrderStep: step, RefundID: sampleRefund, PaymentID: samplePayment, Refund: RefundDue, Reason: LateMoney,
			Amount: sampleMoney, Reference: "gw-1",
		},
	}
}

func paymentSamples() []Event {
	step := PaymentStep{PaymentID: samplePayment, OrderID: sampleOrder, ShowID: 42, Previous: Requested, Status: Instructed}
	return []Event{
		PaymentRequested{PaymentStep: step, Attempt: 1, Method: QRIS, Amount: sampleMoney, ExpiresAt: sampleTime},
		PaymentInstructed{PaymentStep: step, QR: "000201", URL: "https://pay.example/1", ChargeID: "ch-1", ExpiresAt: sampleTime},
		PaymentSettled{PaymentStep: step, Amount: sampleMoney, Reference: "gw-1", GatewayStatus: "SETTLEMENT", SettledAt: sampleTime},
		PaymentFailed{PaymentStep: step, GatewayStatus: "DENY", Detail: "no funds", FailedAt: sampleTime},
		PaymentExpired{PaymentStep: step, ExpiredAt: sampleTime},
		PaymentMismatched{
			PaymentStep: step, Mismatch: WrongAmount, Expected: sampleMoney, Received: Money{1, "USD"}, Reference: "gw-1",
			GatewayStatus: "PAID", ReceivedAt: sampleTime,
		},
		RefundRequested{PaymentStep: step, RefundID: sampleRefund, Reason: DuplicateMoney, Amount: sampleMoney, Reference: "gw-2"},
		RefundCompleted{PaymentStep: step, RefundID: sampleRefund, Amount: sampleMoney, GatewayID: "rf-1", CompletedAt: sampleTime},
		RefundFailed{PaymentStep: step, RefundID: sampleRefund, Amount: sampleMoney, Attempts: 8, Detail: "closed", FailedAt: sampleTime},
		PaymentUnmatched{
			Gateway: "simulator", PaymentID: "123", Amount: sampleMoney, Reference: "gw-9", GatewayStatus: "SUCCESS", ReceivedAt: sampleTime,
		},
		OpenItemResolved{Item: "inbox-202502:7", Reason: "paid by hand", ResolvedAt: sampleTime},
		StreamDiscarded{
			Projection: "order_status", Stream: "order-" + sampleOrder, Version: 3, Reason: "written by hand", DiscardedAt: sampleTime,
			Letter: &DeadLetter{Topic: "commands-topic", Partition: 1, Offset: 2, Digest: "c0ffee"},
		},
	}
}
