package verify

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"boxoffice/domain"
	"boxoffice/eventstore"
	"boxoffice/projections"
	"boxoffice/projections/logtest"
)

// planted is a real log on Postgres, written by the rules and by Append, to which a test adds what no rule allows.
// Topics stand beside it as the relay has filled them before anybody changed the past.
type planted struct {
	t      *testing.T
	db     *sqlx.DB
	store  *eventstore.Store
	head   eventstore.Head
	states domain.States
	show   int64
	orders uint32
	models []projections.Projection
	cfg    Config
}

func plantIn(t *testing.T) *planted {
	t.Helper()
	db := empty(t)
	written := logtest.Write(t, db, logtest.Plan{Events: 400, Shows: 1})
	p := &planted{
		t: t, db: db, store: eventstore.New(db, eventstore.Config{}), head: written.Head, states: domain.NewStates(),
		show: written.Shows[0], orders: 1 << 20, models: projections.All(), cfg: Config{Wait: time.Nanosecond},
	}
	for _, e := range p.events() {
		event, err := domain.Decode(e.Type, int(e.SchemaVersion), e.Data)
		if err != nil {
			t.Fatal(err)
		}
		p.states.Evolve(e.Stream, e.Version, event)
	}
	return p
}

func (p *planted) events() (all []eventstore.Recorded) {
	p.t.Helper()
	for more := true; more; {
		page, err := p.store.ReadAll(p.t.Context(), int64(len(all)), 1000)
		if err != nil {
			p.t.Fatal(err)
		}
		all, more = append(all, page...), len(page) > 0
	}
	return all
}

// decide lets the rules decide, and stores nothing.
func (p *planted) decide(command domain.Command) []domain.Decided {
	p.t.Helper()
	b := domain.NewBatch(p.head.Time.Add(time.Second), p.states)
	if _, err := b.Decide("planted", command); err != nil {
		p.t.Fatal(err)
	}
	return b.Events()
}

// append stores events in one commit, each as the next of its stream whatever version it was decided with, and
// returns the position of the last.
func (p *planted) append(decided ...domain.Decided) int64 {
	p.t.Helper()
	b := eventstore.Batch{Head: p.head, Time: p.head.Time.Add(time.Second)}
	versions := map[string]int64{}
	for i, d := range decided {
		if versions[d.Stream] == 0 {
			var err error
			if versions[d.Stream], err = p.store.VersionAt(p.t.Context(), d.Stream, p.head.Position); err != nil {
				p.t.Fatal(err)
			}
		}
		versions[d.Stream]++
		data, err := domain.Encode(d.Event)
		if err != nil {
			p.t.Fatal(err)
		}
		decided[i].Version = versions[d.Stream]
		b.Events = append(b.Events, eventstore.Event{
			Stream: d.Stream, Version: versions[d.Stream], Type: d.Event.EventType(), SchemaVersion: 1, Data: data, Metadata: json.RawMessage(`{"batch":"planted"}`),
		})
	}
	var err error
	if p.head, err = p.store.Append(p.t.Context(), b); err != nil {
		p.t.Fatal(err)
	}
	for _, d := range decided {
		p.states.Evolve(d.Stream, d.Version, d.Event)
	}
	return p.head.Position
}

// place places an order of two tickets as the rules will have it.
func (p *planted) place() (orderID string, decided []domain.Decided) {
	p.orders++
	orderID = domain.OrderID(p.head.Time, p.orders)
	return orderID, p.decide(domain.PlaceOrder{
		OrderID: orderID, ShowID: p.show, CustomerRef: "planted", TTL: time.Hour, Method: domain.Card, Lines: []domain.HeldLine{{TicketTypeID: 1, Quantity: 2}},
	})
}

func (p *planted) placed() (orderID string) {
	orderID, decided := p.place()
	p.append(decided...)
	return orderID
}

// only are the decided events of some types.
func only(decided []domain.Decided, types ...string) []domain.Decided {
	return slices.DeleteFunc(decided, func(d domain.Decided) bool { return !slices.Contains(types, d.Event.EventType()) })
}

// version is the newest version of the show.
func (p *planted) version() int64 {
	version, err := p.store.VersionAt(p.t.Context(), domain.ShowStream(p.show), p.head.Position)
	if err != nil {
		p.t.Fatal(err)
	}
	return version
}

// first is the first event of a type.
func (p *planted) first(eventType string) eventstore.Recorded {
	p.t.Helper()
	events := p.events()
	i := slices.IndexFunc(events, func(e eventstore.Recorded) bool { return e.Type == eventType })
	if i < 0 {
		p.t.Fatalf("the log has no %s", eventType)
	}
	return events[i]
}

// endOfAppend is the last event of the append of a position.
func (p *planted) endOfAppend(position int64) eventstore.Recorded {
	events := p.events()
	return events[slices.IndexFunc(events, func(e eventstore.Recorded) bool { return e.Position >= position && e.Hash != nil })]
}

// rehash makes chain and log_head sound again, as a superuser would who has changed the past.
func (p *planted) rehash() {
	p.t.Helper()
	var prev []byte
	var open []eventstore.Event
	for _, e := range p.events() {
		if open = append(open, e.Event); e.Hash == nil {
			continue
		}
		prev = eventstore.Chain(prev, open, e.RecordedAt, e.Position-int64(len(open))+1)
		open = nil
		force(p.t, p.db, fmt.Sprintf(`UPDATE events SET hash = '\x%x' WHERE position = %d`, prev, e.Position))
	}
	if _, err := p.db.ExecContext(p.t.Context(), `UPDATE log_head SET hash = $1`, prev); err != nil {
		p.t.Fatal(err)
	}
}

// published are topics with all that the log has now.
func (p *planted) published() { p.cfg.Topics = relayed(p.events()).read }

// TestWhatIsPlantedIsFoundAndNamed: each is what must never be, in a log that is sound otherwise. It has to be
// found as what it is, where it is, and nothing else has.
func TestWhatIsPlantedIsFoundAndNamed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		plant func(p *planted) []Finding // what has to be found; details are not compared
	}{
		{"nothing", func(*planted) []Finding { return nil }},
		{"a hold is released twice", func(p *planted) []Finding {
			other, orderID := p.placed(), p.placed()
			_ = other // goes on holding tickets, so that the counts stay possible
			decided := p.decide(domain.CancelOrder{OrderID: orderID})
			again := only(slices.Clone(decided), "HoldsReleased")
			p.append(decided...)
			released := again[0].Event.(domain.HoldsReleased)
			totals := slices.Clone(released.Totals)
			totals[0].Held -= 2
			again[0].Event = domain.HoldsReleased{Movement: domain.Movement{ShowID: p.show, Members: released.Members, Totals: totals}}
			position := p.append(again...)
			return []Finding{{Kind: KindHold, Key: fmt.Sprintf("show-%d:%d", p.show, p.version()), Position: position}}
		}},
		{"money comes and no ticket is sold", func(p *planted) []Finding {
			orderID := p.placed()
			position := p.append(only(p.decide(domain.SettlePayment{PaymentID: orderID, Reference: "m"}), "PaymentSettled")...)
			return []Finding{{Kind: KindMoney, Key: "order-" + orderID, Position: position}}
		}},
		{"late money is kept without a refund", func(p *planted) []Finding {
			orderID := p.placed()
			p.append(p.decide(domain.CancelOrder{OrderID: orderID})...)
			p.append(p.decide(domain.SettlePayment{PaymentID: orderID, Reference: "m"})...)
			position := p.append(only(p.decide(domain.SettlePayment{PaymentID: orderID, Reference: "more"}), "PaymentSettled")...)
			return []Finding{{Kind: KindMoney, Key: "order-" + orderID, Position: position}}
		}},
		{"tickets are sold and no money came", func(p *planted) []Finding {
			orderID := p.placed()
			position := p.append(only(p.decide(domain.SettlePayment{PaymentID: orderID, Reference: "m"}), "TicketsSold", "OrderCompleted")...)
			return []Finding{{Kind: KindMoney, Key: "order-" + orderID, Position: position}}
		}},
		{"more is held than there is, after one event only", func(p *planted) []Finding {
			totals := p.states.Shows[p.show].Totals()[0]
			capacity := totals.Held + totals.Sold + 3 // for one order, not for two
			p.append(p.decide(domain.ChangeTicketType{ShowID: p.show, TicketTypeID: 1, Capacity: &capacity})...)
			_, first := p.place()
			orderID, second := p.place() // decided on the same state, as by a writer that nobody fences
			p.append(first...)
			held := second[0].Event.(domain.TicketsHeld)
			totals.Capacity, totals.Held = capacity, totals.Held+4
			held.Totals = append([]domain.Totals{totals}, held.Totals[1:]...)
			second[0].Event = held
			position := p.append(second...) - int64(len(second)) + 1
			version := p.version()
			p.append(p.decide(domain.CancelOrder{OrderID: orderID})...)
			return []Finding{{Kind: KindCapacity, Key: fmt.Sprintf("show-%d:%d", p.show, version), Position: position}}
		}},
		{"an order has no hold", func(p *planted) []Finding {
			orderID, decided := p.place()
			position := p.append(only(decided, "OrderPlaced", "PaymentRequested")...)
			return []Finding{{Kind: KindOrder, Key: "order-" + orderID, Position: position}}
		}},
		{"a projection's own fold has a fault", func(p *planted) []Finding {
			faulty := *projections.OrderStatus()
			apply := faulty.Apply
			faulty.Apply = func(s *projections.OrderState, e eventstore.Recorded, ev domain.Event) error {
				err := apply(s, e, ev)
				if e.Type == "OrderCanceled" && s.Reason == domain.ReasonHoldExpired {
					s.Reason = domain.ReasonCustomer
				}
				return err
			}
			for i := range p.models {
				if p.models[i].Definition().Name == "order_status" {
					p.models[i] = &faulty
				}
			}
			var want []Finding
			for id, order := range p.states.Orders {
				if order.Status == domain.Canceled && order.Reason == domain.ReasonHoldExpired {
					want = append(want, Finding{Kind: KindRow, Key: "order_status " + id, Columns: []string{"reason"}})
				}
			}
			if len(want) == 0 {
				p.t.Fatal("no hold has expired")
			}
			slices.SortFunc(want, func(a, b Finding) int { return cmp.Compare(a.Key, b.Key) })
			return want
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := plantIn(t)
			want := c.plant(p)
			projectWith(t, p.db, math.MaxInt64, p.models...)
			p.published()
			p.finds(want)
		})
	}
}

// TestAPastThatWasChangedIsFoundAndNamed: the projections and the relay had done their work before.
func TestAPastThatWasChangedIsFoundAndNamed(t *testing.T) {
	t.Parallel()
	const other = `UPDATE events SET data = replace(data::text, '"customerRef":"', '"customerRef":"another-')::json WHERE position = %d`
	for _, c := range []struct {
		name  string
		plant func(p *planted) []Finding
	}{
		{"a read model's row was changed", func(p *planted) []Finding {
			id := p.first("OrderPlaced").Stream[len("order-"):]
			p.exec(`UPDATE order_status SET total = total + 1 WHERE order_id = $1`, id)
			return []Finding{{Kind: KindRow, Key: "order_status " + id, Columns: []string{"total"}}}
		}},
		{"a read model's row was taken out", func(p *planted) []Finding {
			id := p.first("OrderPlaced").Stream[len("order-"):]
			p.exec(`DELETE FROM order_status WHERE order_id = $1`, id)
			return []Finding{{Kind: KindBehind, Key: "order_status " + id}}
		}},
		{"a superuser changed an event with the trigger off", func(p *planted) []Finding {
			e := p.first("PaymentInstructed")
			force(p.t, p.db, fmt.Sprintf(`UPDATE events SET data = replace(data::text, '"status"', '"more":1,"status"')::json WHERE position = %d`, e.Position))
			end := p.endOfAppend(e.Position)
			return []Finding{
				{Kind: KindHash, Key: end.ID(), Position: end.Position},
				{Kind: KindTopic, Key: PaymentsTopic, Position: e.Position},
			}
		}},
		{"the same with the chain and log_head rebuilt: only the topics know", func(p *planted) []Finding {
			e := p.first("PaymentInstructed")
			force(p.t, p.db, fmt.Sprintf(`UPDATE events SET data = replace(data::text, '"status"', '"more":1,"status"')::json WHERE position = %d`, e.Position))
			p.rehash()
			end := p.endOfAppend(e.Position)
			return []Finding{
				{Kind: KindTopic, Key: PaymentsTopic, Position: e.Position},
				{Kind: KindHash, Key: "topics", Position: end.Position},
			}
		}},
		{"only metadata was changed, and all rebuilt: the topics' hashes know", func(p *planted) []Finding {
			e := p.first("OrderPlaced")
			force(p.t, p.db, fmt.Sprintf(`UPDATE events SET metadata = '{}' WHERE position = %d`, e.Position))
			p.rehash()
			return []Finding{{Kind: KindHash, Key: "topics", Position: p.endOfAppend(e.Position).Position}}
		}},
		{"an order was given to somebody else, and all rebuilt: its row and its topic know", func(p *planted) []Finding {
			e := p.first("OrderPlaced")
			force(p.t, p.db, fmt.Sprintf(other, e.Position))
			p.rehash()
			return []Finding{
				{Kind: KindRow, Key: "order_status " + e.Stream[len("order-"):], Columns: []string{"customer_ref"}},
				{Kind: KindTopic, Key: OrdersTopic, Position: e.Position},
				{Kind: KindHash, Key: "topics", Position: p.endOfAppend(e.Position).Position},
			}
		}},
		{"the log was rebuilt, there are no topics, but a hash was kept", func(p *planted) []Finding {
			p.cfg.Topics, p.cfg.Kept = nil, &Kept{p.head.Position, p.head.Hash}
			e := p.first("PaymentInstructed")
			force(p.t, p.db, fmt.Sprintf(`UPDATE events SET metadata = '{}' WHERE position = %d`, e.Position))
			p.rehash()
			return []Finding{{Kind: KindKept, Key: "events", Position: p.head.Position}}
		}},
		{"the log's end was cut off, and a hash was kept", func(p *planted) []Finding {
			p.cfg.Topics, p.cfg.Kept = nil, &Kept{p.head.Position + 1, p.head.Hash}
			return []Finding{{Kind: KindKept, Key: "events", Position: p.head.Position + 1}}
		}},
		{"the kept position is not the end of an append", func(p *planted) []Finding {
			p.cfg.Kept = &Kept{p.head.Position - 1, p.head.Hash}
			if events := p.events(); events[len(events)-2].Hash != nil {
				p.t.Fatal("the last append has one event")
			}
			return []Finding{{Kind: KindKept, Key: "events", Position: p.head.Position - 1}}
		}},
		{"the kept hash is the log's", func(p *planted) []Finding {
			p.cfg.Kept = &Kept{p.head.Position, p.head.Hash}
			return nil
		}},
		{"an event is missing in its topic", func(p *planted) []Finding {
			e := p.events()[len(p.events())-1]
			topics := relayed(p.events()[:e.Position-1])
			p.cfg.Topics = topics.read
			return []Finding{{Kind: KindBehind, Key: topicOf(e.Stream), Position: e.Position}}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := plantIn(t)
			p.placed()
			projectWith(t, p.db, math.MaxInt64, p.models...)
			p.published()
			p.finds(c.plant(p))
		})
	}
}

// finds verifies, and compares what was found, but for its words.
func (p *planted) finds(want []Finding) {
	p.t.Helper()
	r, err := Run(p.t.Context(), p.db, p.cfg)
	if err != nil {
		p.t.Fatal(err)
	}
	var got []Finding
	for _, f := range r.Findings {
		if f.Detail == "" {
			p.t.Errorf("%+v says nothing", f)
		}
		f.Detail = ""
		got = append(got, f)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		p.t.Errorf("found\n%+v\nwant\n%+v", r.Findings, want)
	}
	if (p.cfg.Kept != nil && r.Ok()) != (r.Kept != nil) {
		p.t.Errorf("kept is %+v", r.Kept)
	}
}

func (p *planted) exec(statement string, args ...any) {
	p.t.Helper()
	result, err := p.db.ExecContext(p.t.Context(), statement, args...)
	if err != nil {
		p.t.Fatal(err)
	}
	if n, err := result.RowsAffected(); err != nil || n != 1 {
		p.t.Fatalf("%s changed %d rows, %v", statement, n, err)
	}
}
