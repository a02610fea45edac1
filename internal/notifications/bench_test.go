package notifications_test

import (
	"context"
	"io"
	"log/slog"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"boxoffice/eventstore"
	"boxoffice/internal/devstack"
	"boxoffice/internal/notifications"
)

// BenchmarkLines is one notification from the topic to its line in the log, with as many in flight as a
// subscriber has.
func BenchmarkLines(b *testing.B) {
	db, err := eventstore.OpenDB(devstack.Postgres(b).URL, 8)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	counts := &tally{}
	n := notifications.New(notifications.Config{
		DB: db, Now: time.Now, Observe: counts.add,
		Senders: []notifications.Sender{notifications.NewLogSender(slog.New(slog.NewJSONHandler(io.Discard, nil)))}, //nolint:sloglint // lines have to be made
	})
	var running, inFlight sync.WaitGroup
	ctx, stop := context.WithCancel(b.Context())
	running.Go(func() { _ = n.Run(ctx) }) // it returns nil
	defer running.Wait()
	defer stop()
	msgs := make(chan *message.Message)
	b.ResetTimer()
	for range 1024 {
		inFlight.Go(func() {
			for msg := range msgs {
				msg.SetContext(b.Context())
				if err := n.Handle(msg); err != nil {
					b.Error(err)
				}
			}
		})
	}
	for i := range b.N {
		id := "ORDER-20261122-" + strconv.FormatInt(int64(0x10000000+i), 16)
		msgs <- tell("order-"+id, 1, map[string]any{"orderId": id, "status": "PENDING"})
	}
	close(msgs)
	inFlight.Wait()
	stored := b.Elapsed()
	for counts.of("log", notifications.Sent) < b.N {
		<-time.After(time.Millisecond)
	}
	b.ReportMetric(float64(b.N)/stored.Seconds(), "stored/s")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "told/s")
}
