package projections

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"boxoffice/domain"
	"boxoffice/eventstore"
)

// What a fold makes of an event's JSON must be what the domain's decoder makes of it.
func TestOrdersShowWhatTheDomainDecodes(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"OrderPlaced", "OrderConfirmed", "OrderPaymentChanged", "OrderCompleted", "OrderCanceled"} {
		data, err := os.ReadFile(filepath.Join("..", "domain", "testdata", "events", name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		whole, err := domain.Decode(name, 1, data)
		if err != nil {
			t.Fatal(err)
		}
		e := eventstore.Recorded{Event: eventstore.Event{Stream: "order-1", Version: 1, Type: name, SchemaVersion: 1, Data: data}, Position: 7}
		row, err := foldRow(OrderStatus(), "1", []eventstore.Recorded{e})
		if err != nil {
			t.Fatal(err)
		}
		f := facts(t, row)
		var got, want any
		switch ev := whole.(type) {
		case domain.OrderPlaced:
			got = []any{f.OrderID, f.ShowID, f.Status, f.Lines, f.Total, f.PlacedAt, f.ExpiresAt, f.Payment, row.State.CustomerRef, row.State.PlacedPosition}
			want = []any{ev.OrderID, ev.ShowID, ev.Status, ev.Lines, ev.Total, ev.PlacedAt, ev.ExpiresAt, ev.Payment, ev.CustomerRef, int64(7)}
		case domain.OrderConfirmed:
			got, want = []any{f.Status, f.Payment}, []any{ev.Status, ev.Payment}
		case domain.OrderPaymentChanged:
			got, want = []any{f.Status, f.Payment}, []any{ev.Status, ev.Payment}
		case domain.OrderCompleted:
			got, want = []any{f.Status, f.Payment, f.Tickets}, []any{ev.Status, ev.Payment, ev.Tickets}
		case domain.OrderCanceled:
			got, want = []any{f.Status, f.Reason, f.Payment}, []any{ev.Status, ev.Reason, ev.Payment}
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s\n got %+v\nwant %+v", name, got, want)
		}
	}
}

func BenchmarkDecodeOrder(b *testing.B) {
	for _, name := range []string{"OrderPlaced", "OrderConfirmed", "OrderCompleted"} {
		data, err := os.ReadFile(filepath.Join("..", "domain", "testdata", "events", name+".json"))
		if err != nil {
			b.Fatal(err)
		}
		e := eventstore.Recorded{Event: eventstore.Event{Type: name, SchemaVersion: 1, Data: data}}
		b.Run(name+"/quickly", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := decodeOrder(e); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/domain", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := decode(e); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
