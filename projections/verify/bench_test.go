package verify

import (
	"encoding/json"
	"fmt"
	"runtime"
	"testing"

	"boxoffice/eventstore"
)

// BenchmarkFold folds paid orders of one ticket each, four events an order, and tells
// how much memory an order takes; the package's comment quotes it.
func BenchmarkFold(b *testing.B) {
	f := newFold(&findings{})
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	events := 0
	for b.Loop() {
		for _, e := range paidOrder(events / 4) {
			f.event(&e)
			events++
		}
		f.endAppend(int64(events))
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(f.orders.count()), "B/order")
	b.ReportMetric(float64(events)/b.Elapsed().Seconds(), "events/s")
	if f.orders.count() == 0 {
		b.Fatal("no orders")
	}
}

func paidOrder(n int) []eventstore.Recorded {
	body := fmt.Sprintf("20261122-%08x", n)
	event := func(stream string, version int64, eventType, data string) eventstore.Recorded {
		return eventstore.Recorded{Event: eventstore.Event{
			Stream: stream, Version: version, Type: eventType, SchemaVersion: 1, Data: json.RawMessage(data),
		}}
	}
	order, payment := `"orderId":"ORDER-`+body+`","showId":1`, `"paymentId":"PAY-`+body+`-1"`
	return []eventstore.Recorded{
		event("order-ORDER-"+body, 1, "OrderPlaced", `{`+order+`,"status":"PENDING","lines":[{"ticketTypeId":1,"quantity":1,"unitPrice":100}],
			"total":{"amount":100,"currency":"IDR"},"holdId":"HOLD-`+body+`-1","payment":{`+payment+`,"attempt":1,"status":"REQUESTED"}}`),
		event("payment-PAY-"+body+"-1", 1, "PaymentRequested", `{`+order+`,`+payment+`,"status":"REQUESTED","amount":{"amount":100,"currency":"IDR"}}`),
		event("payment-PAY-"+body+"-1", 2, "PaymentSettled", `{`+order+`,`+payment+`,"previous":"REQUESTED","status":"SETTLED","amount":{"amount":100,"currency":"IDR"}}`),
		event("order-ORDER-"+body, 2, "OrderCompleted", `{`+order+`,"previous":"PENDING","status":"COMPLETED","holdId":"HOLD-`+body+`-1",
			"payment":{`+payment+`,"attempt":1,"status":"SETTLED"},"tickets":[{"ticketId":"TICKET-`+body+`-1","ticketTypeId":1}]}`),
	}
}
