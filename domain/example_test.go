package domain_test

import (
	"fmt"
	"time"

	"boxoffice/domain"
)

// One order from placement to tickets, as a writer runs it: decide in a batch, store the events, fold them.
func Example() {
	at := time.Date(2025, 2, 5, 9, 0, 0, 0, time.UTC)
	states := domain.NewStates()
	orderID := domain.OrderID(at, 1)
	for _, command := range []domain.Command{
		domain.CreateShow{
			ShowID: 1, Name: "Concert", Venue: "Hall", StartsAt: at.AddDate(0, 1, 0), TimeZone: "Asia/Jakarta", Currency: "IDR",
			TicketTypes: []domain.TicketType{{TicketTypeID: 1, Name: "Standing", Price: 150_000, Capacity: 100}},
		},
		domain.PlaceOrder{
			OrderID: orderID, ShowID: 1, Lines: []domain.HeldLine{{TicketTypeID: 1, Quantity: 2}},
			CustomerRef: "c0ffee", TTL: 15 * time.Minute,
		},
		domain.SettlePayment{Gateway: "simulator", PaymentID: orderID, GatewayStatus: "SUCCESS"},
	} {
		batch := domain.NewBatch(at, states)
		if _, err := batch.Decide("command", command); err != nil {
			fmt.Println(err)
		}
		for _, d := range batch.Events() {
			fmt.Printf("%s:%d %s\n", d.Stream, d.Version, d.Event.EventType())
			states.Evolve(d.Stream, d.Version, d.Event)
		}
	}
	fmt.Println(states.Orders[orderID].Status, states.Shows[1].Totals())
	// Output:
	// show-1:1 ShowCreated
	// show-1:2 TicketsHeld
	// order-ORDER-20250205-00000001:1 OrderPlaced
	// payment-PAY-20250205-00000001-1:1 PaymentRequested
	// show-1:3 TicketsSold
	// payment-PAY-20250205-00000001-1:2 PaymentSettled
	// order-ORDER-20250205-00000001:2 OrderCompleted
	// COMPLETED [{1 100 0 2}]
}
