package logtest_test

import (
	"bytes"
	"testing"

	"github.com/jmoiron/sqlx"

	"boxoffice/eventstore"
	"boxoffice/internal/devstack"
	"boxoffice/projections"
	"boxoffice/projections/logtest"
	"boxoffice/projections/verify"
)

const someEvents = 8_000

func database(t *testing.T) *sqlx.DB {
	t.Helper()
	db, err := eventstore.OpenDB(devstack.Postgres(t).URL, 4)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// project folds the whole log into the read models.
func project(t *testing.T, db *sqlx.DB) {
	t.Helper()
	store := eventstore.New(db, eventstore.Config{})
	tx, err := db.BeginTxx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range projections.All() {
		rows, position := p.Rows(), int64(0)
		for {
			page, err := store.ReadAll(t.Context(), position, eventstore.MaxPage)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				break
			}
			for _, e := range page {
				position = e.Position
				key, ok, err := p.Key(e)
				if err == nil && ok {
					_, err = rows.Fold(key, e)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := rows.Save(t.Context(), tx); err != nil {
			t.Fatal(err)
		}
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
}

// wantNothing verifies the log and its read models.
func wantNothing(t *testing.T, db *sqlx.DB) verify.Report {
	t.Helper()
	project(t, db)
	r, err := verify.Run(t.Context(), db, verify.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.Findings {
		t.Errorf("found %+v", f)
	}
	return r
}

func count(t *testing.T, db *sqlx.DB, query string) int {
	t.Helper()
	var n int
	if err := db.GetContext(t.Context(), &n, query); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

func TestALogThatWasWrittenKeepsAllPromises(t *testing.T) {
	t.Parallel()
	db := database(t)
	w := logtest.Write(t, db, logtest.Plan{Events: someEvents, Shows: 3})
	r := wantNothing(t, db)
	if r.Events != w.Events || r.Head.Position != w.Head.Position || r.Orders != int64(w.Placed()) || r.Shows != 3 || len(w.Shows) != 3 {
		t.Errorf("written %+v, verified %+v", w, r)
	}
	if w.Events < someEvents*95/100 || w.Events > someEvents*105/100 {
		t.Errorf("%d events, planned %d", w.Events, someEvents)
	}
	if r.Held == 0 || r.Money[0].Open == 0 || r.Money[0].Refunds == 0 {
		t.Errorf("held %d, money %+v", r.Held, r.Money)
	}
	for fate, status := range map[logtest.Fate]string{
		logtest.Paid:     `status = 'COMPLETED'`,
		logtest.ByCard:   `status = 'COMPLETED' AND payment->>'attempt' = '2'`,
		logtest.Expired:  `reason = 'HOLD_EXPIRED'`,
		logtest.Canceled: `reason = 'CUSTOMER'`,
		logtest.Failed:   `reason = 'PAYMENT_FAILED'`,
		logtest.Refunded: `reason = 'OPERATOR' AND refund_status = 'DONE'`,
		logtest.Late:     `order_id IN (SELECT data->>'orderId' FROM events WHERE type = 'HoldReacquired' OR data->>'late' = 'true')`,
		logtest.Twice:    `status = 'COMPLETED' AND refund_status <> ''`,
		logtest.Mismatched: `order_id IN (SELECT data->>'orderId' FROM events WHERE type = 'PaymentMismatched')
			AND EXISTS (SELECT 1 FROM open_items WHERE id LIKE 'payment-%' AND resolved)`,
		logtest.Unmatched: `EXISTS (SELECT 1 FROM open_items WHERE id LIKE 'inbox-%')`,
	} {
		if w.Orders[fate] == 0 || count(t, db, `SELECT count(*) FROM order_status WHERE `+status) == 0 {
			t.Errorf("of %d orders none is %s", w.Orders[fate], fate)
		}
	}
}

func TestWhatStandsBesideTheLogIsWhatTheWriterStores(t *testing.T) {
	t.Parallel()
	db := database(t)
	w := logtest.Write(t, db, logtest.Plan{Events: someEvents})
	store := eventstore.New(db, eventstore.Config{})
	if indexed, err := store.IndexRequests(t.Context(), w.Head.Position, eventstore.MaxPage); err != nil || indexed != w.Head.Position {
		t.Fatalf("indexed up to %d, %v", indexed, err)
	}
	project(t, db)
	placed := w.Placed()
	for query, want := range map[string]int{
		`SELECT count(*) FROM requests`: placed,
		`SELECT count(*) FROM contacts JOIN events USING (position) WHERE type = 'OrderPlaced'
			AND contacts.customer_ref = data->>'customerRef'`: placed,
		`SELECT count(*) FROM events WHERE type = 'OrderPlaced' AND stream = 'order-ORDER-20260115-' || lpad(to_hex(
			(SELECT next FROM order_ids) - 1), 8, '0')`: 0, // leased, and not used
		`SELECT count(*) FROM due`: count(t, db, `SELECT count(DISTINCT show_id) FROM order_status WHERE status IN ('PENDING', 'CONFIRMED')`),
		`SELECT count(*) FROM deliveries JOIN events USING (position) WHERE type LIKE 'Payment%'`: count(t, db,
			`SELECT count(*) FROM events WHERE type IN ('PaymentSettled', 'PaymentMismatched', 'PaymentUnmatched', 'PaymentFailed')`),
	} {
		if got := count(t, db, query); got != want {
			t.Errorf("%s: %d, want %d", query, got, want)
		}
	}
}

func TestTheSamePlanWritesTheSameLog(t *testing.T) {
	t.Parallel()
	plan := logtest.Plan{Events: 2_000, Seed: 7}
	one, other := logtest.Write(t, database(t), plan), logtest.Write(t, database(t), plan)
	if one.Head.Position != other.Head.Position || !bytes.Equal(one.Head.Hash, other.Head.Hash) {
		t.Errorf("the logs end at %+v and %+v", one.Head, other.Head)
	}
	plan.Seed++
	if another := logtest.Write(t, database(t), plan); bytes.Equal(one.Head.Hash, another.Head.Hash) {
		t.Error("another seed wrote the same log")
	}
}

func TestALogGoesOnWhereItEnds(t *testing.T) {
	t.Parallel()
	db := database(t)
	first := logtest.Write(t, db, logtest.Plan{Events: 3_000})
	last := first
	for seed := range uint64(20) { // an hour each, so past midnight
		next := logtest.Write(t, db, logtest.Plan{Events: 500, Shows: 1, Seed: seed})
		if next.First != last.Head.Position+1 || next.Head.Position != last.Head.Position+next.Events {
			t.Fatalf("after %+v came %+v", last, next)
		}
		last = next
	}
	if last.Head.Time.YearDay() == first.Head.Time.YearDay() {
		t.Errorf("it ends at %s", last.Head.Time)
	}
	if r := wantNothing(t, db); r.Events != last.Head.Position {
		t.Errorf("%d events", r.Events)
	}
}
