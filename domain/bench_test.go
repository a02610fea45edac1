package domain

import (
	"fmt"
	"testing"
	"time"
)

// BenchmarkBatch is one batch of 256 placements on a show with 100,000 open holds: decided, laid out,
// encoded and folded.
func BenchmarkBatch(b *testing.B) {
	w := newWorld(b)
	w.run(stadium(MaxCapacity))
	show := w.states.Shows[show1]
	body := Movement{ShowID: show1, Members: make([]Member, 100_000)}
	for i := range body.Members {
		body.Members[i] = Member{
			OrderID: OrderID(begin, uint32(i)), CustomerRef: fmt.Sprint(i), Lines: []HeldLine{{TicketTypeID: 1, Quantity: 1}},
			ReleaseAt: begin.Add(time.Hour + time.Duration(i)*time.Millisecond),
		}
	}
	show.Evolve(TicketsHeld{body})
	next := uint32(len(body.Members))
	b.ReportAllocs()
	for b.Loop() {
		batch := NewBatch(w.at, w.states)
		for i := range 256 {
			c := PlaceOrder{
				OrderID: OrderID(begin, next), ShowID: show1, Lines: []HeldLine{{TicketTypeID: 1, Quantity: 2}}, CustomerRef: fmt.Sprint("c", i), TTL: ttl,
			}
			next++
			if _, err := batch.Decide("command", c); err != nil {
				b.Fatal(err)
			}
		}
		for _, d := range batch.Events() {
			if _, err := Encode(d.Event); err != nil {
				b.Fatal(err)
			}
			if d.Stream == "show-1" {
				show.Evolve(d.Event)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/256, "ns/order")
}
