package serve_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"boxoffice/cmd/internal/config"
	"boxoffice/domain"
	"boxoffice/eventstore"
	"boxoffice/internal/messaging"
	"boxoffice/projections"
	"boxoffice/projections/verify"
)

// findings verifies log, read models and topics, and tells kind, key, columns and position of what was found.
func (o *office) findings(kafka bool) (found []string) {
	o.t.Helper()
	cfg := verify.Config{Wait: time.Second}
	if kafka {
		cfg.Topics = func(ctx context.Context, topic string, fn func(int32, int64, *message.Message) error) error {
			return messaging.ReadTopic(ctx, o.kafka, topic, func(partition int32, m messaging.Message) error {
				return fn(partition, m.Offset, m.Message)
			})
		}
	}
	report, err := verify.Run(o.t.Context(), o.db, cfg)
	if err != nil {
		o.t.Fatal(err)
	}
	for _, f := range report.Findings {
		found = append(found, named(f.Kind, f.Key, f.Position, f.Columns...))
	}
	return found
}

func named(kind verify.Kind, key string, position int64, columns ...string) string {
	return fmt.Sprintf("%s %s %v at %d", kind, key, columns, position)
}

// wantFindings compares what verify finds with what was planted, with the topics and without.
func (o *office) wantFindings(inLog []string, inTopics ...string) {
	o.t.Helper()
	for _, kafka := range []bool{false, true} {
		want := slices.Clone(inLog)
		if kafka {
			want = append(want, inTopics...)
		}
		if got := o.findings(kafka); !slices.Equal(got, want) {
			o.t.Errorf("with the topics: %t, found\n%q\nwant\n%q", kafka, got, want)
		}
	}
}

// asSuperuser runs statements with the log's trigger switched off.
func (o *office) asSuperuser(statements ...string) {
	o.t.Helper()
	statements = append([]string{`ALTER TABLE events DISABLE TRIGGER USER`}, statements...)
	for _, s := range append(statements, `ALTER TABLE events ENABLE ALWAYS TRIGGER events_append_only`) {
		if _, err := o.db.ExecContext(o.t.Context(), s); err != nil {
			o.t.Fatal(err)
		}
	}
}

// whole is the log from its beginning.
func (o *office) whole() (events []eventstore.Recorded) {
	o.t.Helper()
	for {
		page, err := o.store.ReadAll(o.t.Context(), int64(len(events)), eventstore.MaxPage)
		if err != nil {
			o.t.Fatal(err)
		}
		if events = append(events, page...); len(page) == 0 {
			return events
		}
	}
}

// TestVerifyFindsWhatWasPlantedIntoASystemThatRan: one system, into which one thing after the other is planted.
func TestVerifyFindsWhatWasPlantedIntoASystemThatRan(t *testing.T) {
	t.Parallel()
	o, p := running(t, longHold)
	p.createShow(1, 100)
	p.sells(5, time.Now())
	unpaid := p.mustPlace(wish{customer: "late"})
	p.await(unpaid, domain.Confirmed)
	o.awaitRest()
	p.stop()
	defer func() { o.proved = o.head() }() // what these tests planted can't be proved
	o.wantFindings(nil)

	events := o.whole()
	changed := events[slices.IndexFunc(events, func(e eventstore.Recorded) bool { return e.Type == "PaymentSettled" })]
	end := events[changed.Position-1+int64(slices.IndexFunc(events[changed.Position-1:], func(e eventstore.Recorded) bool { return e.Hash != nil }))]
	inTopic := named(verify.KindTopic, messaging.PaymentsTopic, changed.Position)

	t.Run("a superuser changed an event with the trigger off", func(*testing.T) {
		o.asSuperuser(fmt.Sprintf(`UPDATE events SET data = replace(data::text, '"gatewayStatus":"', '"gatewayStatus":"NOT ')::json WHERE position = %d`, changed.Position))
		o.wantFindings([]string{named(verify.KindHash, end.ID(), end.Position)}, inTopic)
	})
	rebuilt := named(verify.KindHash, "topics", end.Position)
	t.Run("then the chain and log_head were rebuilt, and only the topics know", func(*testing.T) {
		var statements []string
		var prev []byte
		var open []eventstore.Event
		for _, e := range o.whole() {
			if open = append(open, e.Event); e.Hash != nil {
				prev = eventstore.Chain(prev, open, e.RecordedAt, e.Position-int64(len(open))+1)
				statements = append(statements, fmt.Sprintf(`UPDATE events SET hash = '\x%x' WHERE position = %d`, prev, e.Position))
				open = nil
			}
		}
		o.asSuperuser(append(statements, fmt.Sprintf(`UPDATE log_head SET hash = '\x%x'`, prev))...)
		o.wantFindings(nil, inTopic, rebuilt)
	})
	t.Run("an event never came into its topic", func(t *testing.T) {
		data, err := domain.Encode(domain.StreamDiscarded{Letter: &domain.DeadLetter{Topic: messaging.CommandsTopic}, Reason: "spam"})
		if err != nil {
			t.Fatal(err)
		}
		o.inject(event("inbox-209901", "StreamDiscarded", 1, string(data)))
		skipped := o.head()
		o.asSuperuser(fmt.Sprintf(`UPDATE checkpoints SET position = %d WHERE name = 'relay'`, skipped))
		p = o.start("one", config.AllRoles()...)
		p.sells(1, time.Now())
		o.awaitRest()
		p.stop()
		o.wantFindings(nil, inTopic, named(verify.KindBehind, messaging.PaymentsTopic, skipped), rebuilt)
	})
	t.Run("a row of each read model was changed", func(t *testing.T) {
		o.asSuperuser(
			`UPDATE availability SET sold = sold - 1`, `UPDATE shows SET venue = 'Elsewhere'`, `UPDATE ticket_types SET max_per_order = 99`,
			`UPDATE order_status SET expires_at = expires_at + interval '1 hour', status = 'COMPLETED' WHERE order_id = '`+unpaid+`'`,
		)
		got := o.findings(false)
		for _, want := range []string{
			named(verify.KindRow, "availability 1/1", 0, "sold"), named(verify.KindRow, "shows 1", 0, "venue"),
			named(verify.KindRow, "ticket_types 1/1", 0, "max_per_order"), named(verify.KindRow, "order_status "+unpaid, 0, "status", "expires_at"),
		} {
			if !slices.Contains(got, want) {
				t.Errorf("found %q, want %q among them", got, want)
			}
		}
		if len(got) != 4 {
			t.Errorf("found %q", got)
		}
	})
}

// TestVerifyFindsAFaultOfAProjectionsOwnFold: live consumers fold with a model that forgets what a ticket cost.
func TestVerifyFindsAFaultOfAProjectionsOwnFold(t *testing.T) {
	t.Parallel()
	o := open(t, longHold)
	p := o.start("one", config.API, config.Relay, config.Payments)
	eventually(t, "the schema is there", func() string {
		if o.db.GetContext(t.Context(), new(int64), `SELECT count(*) FROM parked`) != nil {
			return "not yet"
		}
		return ""
	})
	faulty := *projections.OrderStatus()
	apply := faulty.Apply
	faulty.Apply = func(s *projections.OrderState, e eventstore.Recorded, ev domain.Event) error {
		before := s.Payment
		err := apply(s, e, ev)
		if e.Type == "OrderCompleted" {
			s.Payment = before // and so it shows one that waits for money
		}
		return err
	}
	var stops []func()
	defer func() {
		for _, stop := range stops {
			stop()
		}
	}()
	for _, model := range projections.All() {
		if model.Definition().Name == "order_status" {
			model = &faulty
		}
		stops = append(stops, o.project(model))
	}
	p.createShow(1, 100)
	unpaid := p.mustPlace(wish{customer: "late"})
	p.sells(3, time.Now())
	p.await(unpaid, domain.Confirmed)
	o.awaitRest()
	var want []string
	for _, completed := range eventsOf[domain.OrderCompleted](o) {
		want = append(want, named(verify.KindRow, "order_status "+completed.OrderID, 0, "payment"))
	}
	slices.Sort(want)
	if o.wantFindings(want); len(want) != 3 {
		t.Errorf("%d orders were completed", len(want))
	}
	o.proved = o.head() // the rows can't be
}
