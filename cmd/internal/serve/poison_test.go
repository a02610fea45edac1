package serve_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"golang.org/x/sync/errgroup"

	"boxoffice/cmd/internal/config"
	"boxoffice/domain"
	"boxoffice/eventstore"
	"boxoffice/internal/messaging"
	"boxoffice/projections"
	"boxoffice/projections/verify"
)

// poisonLimit is how soon all other streams of a partition must have gone on.
const poisonLimit = 30 * time.Second

// onOnePartition makes the topics with one partition, so that everything stands in everything's way.
func (o *office) onOnePartition() {
	o.t.Helper()
	cfg := o.kafka
	cfg.Partitions, cfg.Replication, cfg.CreateTopics = 1, 1, true
	if err := messaging.EnsureTopics(o.t.Context(), cfg, messaging.Topics()...); err != nil {
		o.t.Fatal(err)
	}
}

// inject writes events into the log as no writer would, each the next of its stream, beside the writers of the service.
func (o *office) inject(events ...eventstore.Event) {
	o.t.Helper()
	eventually(o.t, "the events are in the log", func() string {
		head, err := o.store.Head(o.t.Context())
		if err != nil {
			return err.Error()
		}
		batch := eventstore.Batch{Head: head, Time: head.Time}
		versions := map[string]int64{}
		for _, e := range events {
			if versions[e.Stream] == 0 {
				versions[e.Stream] = o.number(`SELECT coalesce(max(version), 0) FROM events WHERE stream = $1`, e.Stream)
			}
			versions[e.Stream]++
			e.Version, e.Metadata = versions[e.Stream], json.RawMessage(`{}`)
			batch.Events = append(batch.Events, e)
		}
		if _, err := o.store.Append(o.t.Context(), batch); err != nil {
			return err.Error()
		}
		return ""
	})
}

func event(stream, eventType string, schema int16, data string) eventstore.Event {
	return eventstore.Event{Stream: stream, Type: eventType, SchemaVersion: schema, Data: json.RawMessage(data)}
}

// strange is an order that only these tests write.
func strange(n int) string {
	return domain.OrderStream(domain.OrderID(time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), uint32(n)))
}

// oddPlacement begins a strange order, so that it has a row.
func oddPlacement(t *testing.T, n int) eventstore.Event {
	t.Helper()
	orderID := strings.TrimPrefix(strange(n), "order-")
	data, err := domain.Encode(domain.OrderPlaced{
		OrderStep: domain.OrderStep{OrderID: orderID, ShowID: 1, Status: domain.Pending}, HoldID: domain.HoldID(orderID, 1),
		Total: domain.Money{Amount: 1, Currency: "IDR"}, Payment: domain.PaymentSummary{PaymentID: domain.PaymentID(orderID, 1)},
	})
	if err != nil {
		t.Fatal(err)
	}
	return event(strange(n), "OrderPlaced", 1, string(data))
}

// stuck are the parked streams by projection/stream, and the version at which each is stuck.
func (o *office) stuck() map[string]int64 {
	o.t.Helper()
	all, err := projections.ParkedStreams(o.t.Context(), o.db, 100)
	if err != nil {
		o.t.Fatal(err)
	}
	stuck := map[string]int64{}
	for _, p := range all {
		stuck[p.Projection+"/"+p.Stream] = p.Version
	}
	return stuck
}

// sells completes orders through the front door and says how long after begun all of them could be read.
func (p *process) sells(orders int, begun time.Time) time.Duration {
	p.o.t.Helper()
	ids := parallel(p.o.t, orders, 16, func(i int) string {
		placed := p.place(wish{customer: fmt.Sprintf("buyer-%d-%d", orders, i)})
		if placed.status != http.StatusOK {
			p.o.t.Errorf("order %d: %s", i, placed.answer)
			return ""
		}
		if a := p.webhook(placed.orderID, "SUCCESS"); a.status != http.StatusOK {
			p.o.t.Errorf("payment %d: %s", i, a)
		}
		return placed.orderID
	})
	within(p.o.t, poisonLimit-time.Since(begun), "all orders are completed in the read model", func() string {
		done := p.o.number(`SELECT count(*) FROM order_status WHERE status = 'COMPLETED' AND order_id = ANY($1::text[])`, eventstore.TextArray(ids))
		if done != int64(orders) {
			return fmt.Sprintf("%d of %d", done, orders)
		}
		return ""
	})
	return time.Since(begun)
}

func TestPoisonParksItsStreamAndTheRestOfThePartitionGoesOn(t *testing.T) {
	t.Parallel()
	const orders = 50
	o := open(t, longHold)
	o.onOnePartition()
	p := o.start("one", config.AllRoles()...)
	p.createShow(1, 1000)
	p.sells(1, time.Now())

	large := strings.Repeat("x", 2<<20)
	confirmation := `{"orderId":"x","showId":1,"previous":"PENDING","status":"CONFIRMED","payment":{"paymentId":"p"},"more":"` + large + `"}`
	begun := time.Now()
	for n := range 7 {
		o.inject(oddPlacement(t, n))
	}
	o.inject(
		event(strange(0), "OrderConfirmed", 1, `{"orderId":7,"status":{"a":"b"}}`),                             // can't be decoded
		event(strange(1), "OrderPraised", 1, `{}`),                                                             // of a type that nobody knows
		event(strange(2), "OrderConfirmed", 2, `{"status":"CONFIRMED"}`),                                       // of a schema version that nobody knows
		event(strange(3), "OrderConfirmed", 1, `["`+large+`"]`),                                                // 2 MiB, and not to be decoded
		event(strange(4), "OrderConfirmed", 1, confirmation),                                                   // 2 MiB that can be read, if the log is asked
		event(strange(6), "OrderCanceled", 1, `{"previous":"CANCELED","status":"CANCELED","reason":"\u0000"}`), // what no row can hold
		event("show-77", "ShowCreated", 1, `{"showId":"seventy-seven"}`),
		event("payment-PAY-20200101-00000001-1", "OpenItemResolved", 1, `{"item":7}`),
		event("payment-PAY-20200101-00000002-1", "PaymentRequested", 3, `{}`),
		event("elsewhere", strings.Repeat("y", 1<<20), 1, `{}`), // its type alone does not fit into a message
		event("", "Nameless", 1, `{}`),                          // of a stream without a name, so without a key
	)
	o.forge(strange(5), `{not json`) // nothing that the log has: somebody wrote into the topic
	for n := range 6 {
		o.inject(event(strange(n), "OrderConfirmed", 1, `{"orderId":"x","showId":1,"previous":"CONFIRMED","status":"CONFIRMED","payment":{"paymentId":"p"}}`))
	}
	t.Logf("%d orders of other streams of the partition were completed %s after the poison", orders, p.sells(orders, begun).Round(time.Millisecond))

	want := map[string]int64{
		"order_status/" + strange(0): 2, "order_status/" + strange(1): 2, "order_status/" + strange(2): 2, "order_status/" + strange(3): 2,
		"order_status/" + strange(5): 9, "order_status/" + strange(6): 2, "availability/show-77": 1, "sales_by_day/show-77": 1, "open_items/payment-PAY-20200101-00000001-1": 1,
	}
	within(t, poisonLimit-time.Since(begun), "the relay is at the head", func() string {
		if at, head := o.relayed(), o.head(); at != head {
			return fmt.Sprintf("%d of %d", at, head)
		}
		return ""
	})
	eventually(t, "the poisoned streams are parked, and no others", func() string {
		if got := o.stuck(); fmt.Sprint(got) != fmt.Sprint(want) {
			return fmt.Sprint(got)
		}
		return ""
	})
	if version := o.number(`SELECT version FROM order_status WHERE order_id = $1`, strings.TrimPrefix(strange(4), "order-")); version != 3 {
		t.Errorf("the order of 2 MiB is at version %d", version)
	}
	o.wantLetters(map[string]int{
		messaging.RelayGroup + " " + messaging.OrdersTopic: 4, // two of 2 MiB, one type too long, one without a key
		"payments " + messaging.PaymentsTopic:              1,
		"notifications " + messaging.NotificationTopic:     1, // of a status that is no word
	})
	o.wantPoisonInAudit()

	t.Run("what the log does not have is mended by a retry", func(t *testing.T) {
		if still, err := projections.Retry(t.Context(), projections.OrderStatus(), o.db, o.store, strange(5)); err != nil || still != nil {
			t.Fatalf("it is %+v, %v", still, err)
		}
		if version := o.number(`SELECT version FROM order_status WHERE order_id = $1`, strings.TrimPrefix(strange(5), "order-")); version != 2 {
			t.Errorf("the row is at %d", version)
		}
	})
	t.Run("the rest stays, also when a new process takes over", func(t *testing.T) {
		p.stop()
		p = o.start("one", config.AllRoles()...)
		p.sells(3, time.Now())
		delete(want, "order_status/"+strange(5))
		if got := o.stuck(); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("parked are %v", got)
		}
	})
	o.proved = o.head() // what these tests wrote can't be proved
}

// forge publishes a version of a stream that the log does not have, at a position that it has.
func (o *office) forge(stream, payload string) {
	o.t.Helper()
	e := eventstore.Recorded{Event: event(stream, "OrderConfirmed", 1, payload), Position: 1, RecordedAt: time.Now()}
	e.Version = 9
	publisher, err := messaging.Open(o.kafka)
	if err != nil {
		o.t.Fatal(err)
	}
	msg := eventstore.ToMessage(e)
	msg.SetContext(o.t.Context())
	if err := errors.Join(publisher.Publish(messaging.OrdersTopic, msg), publisher.Close()); err != nil {
		o.t.Fatal(err)
	}
}

// wantLetters waits until there are so many different dead letters, by group and topic, each with a reason.
func (o *office) wantLetters(want map[string]int) {
	o.t.Helper()
	eventually(o.t, "what can't be processed is among the dead letters", func() string {
		got, seen := map[string]int{}, map[string]bool{}
		err := messaging.ReadDeadLetters(o.t.Context(), o.kafka, 1000, func(l messaging.DeadLetter) error {
			if l.Reason == "" {
				o.t.Errorf("letter %d has no reason", l.Offset)
			}
			if id := l.Group + " " + l.Topic + l.Message.UUID; !seen[id] { // delivery is at least once
				seen[id] = true
				got[l.Group+" "+l.Topic]++
			}
			return nil
		})
		if err != nil {
			o.t.Fatal(err)
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			return fmt.Sprint(got)
		}
		return ""
	})
}

// wantPoisonInAudit proves that verify finds the poison, names what is parked, and finds nothing else.
func (o *office) wantPoisonInAudit() {
	o.t.Helper()
	report, err := verify.Run(o.t.Context(), o.db, verify.Config{
		Wait: time.Second,
		Topics: func(ctx context.Context, topic string, fn func(int32, int64, *message.Message) error) error {
			return messaging.ReadTopic(ctx, o.kafka, topic, func(partition int32, m messaging.Message) error {
				return fn(partition, m.Offset, m.Message)
			})
		},
	})
	if err != nil {
		o.t.Fatal(err)
	}
	parked := 0
	for _, f := range report.Findings {
		if f.Kind == verify.KindParked {
			parked++
		}
		whole := f.Key + " " + f.Detail
		if !slices.ContainsFunc([]string{"20200101", "show-77", "elsewhere", " 77", "Nameless", `""`}, func(odd string) bool { return strings.Contains(whole, odd) }) &&
			!strings.HasPrefix(f.Key, ":") && !strings.HasPrefix(f.Key, "orders-topic") && !strings.HasPrefix(f.Key, "payment-settlement-topic") {
			o.t.Errorf("found %+v", f)
		}
	}
	if parked != len(o.stuck()) {
		o.t.Errorf("%d of %d parked streams are named", parked, len(o.stuck()))
	}
}

// faulty are orders whose fold panics at an event that says so.
func faulty() projections.Projection {
	m := *projections.OrderStatus()
	apply := m.Apply
	m.Apply = func(s *projections.OrderState, e eventstore.Recorded, ev domain.Event) error {
		if bytes.Contains(e.Data, []byte("panic")) {
			panic("a fold with a fault")
		}
		return apply(s, e, ev)
	}
	return &m
}

// project runs the consumer of a projection until the returned function is called.
func (o *office) project(p projections.Projection) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(o.t.Context()))
	log := slog.New(slog.NewTextHandler(o.t.Output(), &slog.HandlerOptions{Level: slog.LevelError}))
	applier := projections.NewApplier(p, o.db, o.store, log)
	consumer := messaging.NewBatchConsumer(o.kafka, messaging.BatchConfig{
		Group: "projection-" + p.Definition().Name, Topics: []string{p.Definition().Topic}, Start: applier.Start, Log: log,
		Handle: func(ctx context.Context, claim messaging.Claim, batch []messaging.Message) error {
			messages := make([]projections.Message, len(batch))
			for i, m := range batch {
				messages[i] = projections.Message{Offset: m.Offset, Message: m.Message}
			}
			return applier.Apply(ctx, claim.Topic, claim.Partition, messages)
		},
	})
	var running errgroup.Group
	running.Go(func() error { return consumer.Run(ctx) })
	return func() {
		cancel()
		if err := running.Wait(); err != nil {
			o.t.Error(err)
		}
	}
}

func TestAFoldThatPanicsParksItsStreamUntilAMendedProgramComes(t *testing.T) {
	t.Parallel()
	const orders = 50
	o := open(t, longHold)
	o.onOnePartition()
	p := o.start("one", config.API, config.Relay, config.Payments)
	eventually(t, "the schema is there", func() string {
		if o.db.GetContext(t.Context(), new(int64), `SELECT count(*) FROM parked`) != nil {
			return "not yet"
		}
		return ""
	})
	stop := o.project(faulty())
	p.createShow(1, 1000)
	begun := time.Now()
	o.inject(oddPlacement(t, 1), event(strange(1), "OrderConfirmed", 1, `{"orderId":"x","status":"CONFIRMED","previous":"CONFIRMED","payment":{"paymentId":"panic"}}`))
	o.inject(event(strange(1), "OrderRefunded", 1, `{"status":"CONFIRMED","previous":"CONFIRMED","refundId":"r","refund":"DUE"}`))
	t.Logf("%d orders were completed %s after the panic", orders, p.sells(orders, begun).Round(time.Millisecond))
	if got := o.stuck(); fmt.Sprint(got) != fmt.Sprint(map[string]int64{"order_status/" + strange(1): 2}) {
		t.Errorf("parked are %v", got)
	}
	stop()
	defer o.project(projections.OrderStatus())() // the mended program
	eventually(t, "the stream goes on by itself", func() string {
		if version := o.number(`SELECT version FROM order_status WHERE order_id = $1`, strings.TrimPrefix(strange(1), "order-")); version != 3 || len(o.stuck()) > 0 {
			return fmt.Sprintf("the row is at %d, parked are %v", version, o.stuck())
		}
		return ""
	})
	o.proved = o.head() // what this test wrote can't be proved
}
