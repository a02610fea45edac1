package replay_test

import (
	"testing"
	"time"

	"boxoffice/domain"
	"boxoffice/eventstore"
	"boxoffice/internal/devstack"
	"boxoffice/projections"
	"boxoffice/projections/logtest"
	"boxoffice/projections/replay"
)

// A read model that is new has its table and nothing in it. Replay fills it with all the days that there were, and
// goes on with a day that begins meanwhile.
func TestANewReadModelIsFilledWithDaysLongPast(t *testing.T) {
	t.Parallel()
	db := devstack.Postgres(t).Open(t)
	w := &world{db: db, store: eventstore.New(db, eventstore.Config{})}
	evening := time.Date(2026, 1, 15, 16, 45, 0, 0, time.UTC) // a quarter of an hour before midnight where the shows are
	unmatched := domain.PaymentUnmatched{Gateway: "simulator", PaymentID: "PAY-unknown", GatewayStatus: "PAID", ReceivedAt: evening}
	w.storeAt(t, evening, domain.Decided{Stream: domain.InboxStream(evening), Version: 1, Event: unmatched})
	w.log = logtest.Write(t, db, logtest.Plan{Events: 3_000, Shows: 2, Seed: 5})
	show := w.log.Shows[0]
	w.later(t, domain.PauseSales{ShowID: show})
	w.project(t)
	const rows = `SELECT string_agg(s::text, E'\n' ORDER BY s::text) FROM sales_by_day s WHERE day <= '2026-01-18'`
	live := w.text(t, rows)
	w.exec(t, `TRUNCATE sales_by_day`)
	w.exec(t, `DELETE FROM checkpoints WHERE name = 'sales_by_day'`)
	resumed := false
	w.replay(t, replay.Config{Projections: projections.All(), Progress: func(p replay.Progress) {
		if p.Phase == replay.Indexing && !resumed {
			resumed = true
			w.later(t, domain.ResumeSales{ShowID: show})
		}
	}})
	if filled := w.text(t, rows); filled != live || !resumed {
		t.Errorf("live it was\n%s\nand is now\n%s", live, filled)
	}
	const sold = `SELECT count(DISTINCT day) || ' days, ' || count(DISTINCT day) FILTER (WHERE tickets > 0) || ' with sales, '
		|| count(DISTINCT version) || ' versions' FROM sales_by_day WHERE show_id = $1`
	if got, want := w.text(t, sold, show), "4 days, 2 with sales, 4 versions"; got != want {
		t.Errorf("the first show has %s, want %s", got, want)
	}
	w.proves(t)
}

// later lets a command on a show be decided and stored, two days after all that was.
func (w *world) later(t *testing.T, c domain.Command) {
	t.Helper()
	stream := domain.ShowStream(c.Needs().ShowID)
	states := domain.NewStates()
	for after := int64(0); ; {
		page, err := w.store.ReadStream(t.Context(), stream, after, eventstore.MaxPage)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page {
			event, err := domain.Decode(e.Type, int(e.SchemaVersion), e.Data)
			if err != nil || !states.Evolve(stream, e.Version, event) {
				t.Fatal(e.ID(), err)
			}
			after = e.Version
		}
		if len(page) < eventstore.MaxPage {
			break
		}
	}
	head, err := w.store.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	at := head.Time.Add(48 * time.Hour)
	batch := domain.NewBatch(at, states)
	if _, err := batch.Decide("later", c); err != nil {
		t.Fatal(err)
	}
	w.storeAt(t, at, batch.Events()...)
}

// storeAt stores events at a time.
func (w *world) storeAt(t *testing.T, at time.Time, decided ...domain.Decided) {
	t.Helper()
	head, err := w.store.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b := eventstore.Batch{Head: head, Time: at}
	for _, d := range decided {
		data, err := domain.Encode(d.Event)
		if err != nil {
			t.Fatal(err)
		}
		b.Events = append(b.Events, eventstore.Event{
			Stream: d.Stream, Version: d.Version, Type: d.Event.EventType(), SchemaVersion: 1, Data: data, Metadata: []byte(`{"batch":"later"}`),
		})
	}
	if _, err := w.store.Append(t.Context(), b); err != nil {
		t.Fatal(err)
	}
}
