package verify

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"boxoffice/domain"
	"boxoffice/eventstore"
	"boxoffice/internal/devstack"
)

func auditingIn(db *sqlx.DB) *Auditor {
	return NewAuditor(db, AuditConfig{Log: slog.New(slog.DiscardHandler), late: time.Nanosecond})
}

// goesRound lets an auditor look until it has gone over all rows.
func goesRound(t *testing.T, a *Auditor) {
	t.Helper()
	for orders, shows, items, steps := a.Status().Rounds, 0, 0, 0; a.Status().Rounds == orders || shows <= tablesOfShows || items < 3; steps++ {
		if steps == 100 {
			t.Fatalf("it never gets round: %+v", a.sweeps)
		}
		turn, of := a.sweeps.turn, a.sweeps.items.turn
		a.sweeps.at = time.Time{}
		looks(t, a)
		if a.sweeps.turn != turn {
			shows++
		}
		if a.sweeps.items.turn != of {
			items++
		}
	}
	looks(t, a)
}

func TestAnAuditorFindsTheProjectionsRowsEqual(t *testing.T) {
	t.Parallel()
	commits := story()
	db := stored(t, commits[:commitPaid])
	project(t, db, 1000)
	a := auditingIn(db)
	looks(t, a)
	goesRound(t, a)
	if s := a.Status(); s.Rows < 4+1+2+2 || s.Rounds < 1 {
		t.Errorf("the status after a round is %+v", s)
	}
	for _, commit := range commits[commitPaid:] {
		appendAll(t, db, appends{commit})
		looks(t, a)
		project(t, db, 1000)
		looks(t, a)
		if waiting := len(a.touched.order) + len(a.pass.awaited); waiting != 0 {
			t.Errorf("%d rows wait", waiting)
		}
	}
	expects(t, a, nil)
	if s := a.Status(); s.Position != 43 || s.Begun != 12 || s.Rows < 4+1+2+2+10 || s.Behind != 0 {
		t.Errorf("the status is %+v", s)
	}
}

func TestAnAuditorComparesARowThatIsAheadOrLate(t *testing.T) {
	t.Parallel()
	commits := story()
	for name, c := range map[string]struct {
		tamper string
		want   []Finding
	}{
		"and sound": {"", nil},
		"and tampered with": {
			`UPDATE order_status SET total = 1 WHERE order_id = '` + orderA + `'`, []Finding{{Kind: KindRow, Key: "order_status " + orderA}},
		},
		"and of a version that never was": {
			`UPDATE order_status SET version = 9 WHERE order_id = '` + orderA + `'`, []Finding{{Kind: KindRow, Key: "order_status " + orderA}},
		},
		"and of a show": {
			`UPDATE availability SET sold = 9 WHERE ticket_type_id = 2`, []Finding{{Kind: KindRow, Key: "availability 1/2"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := stored(t, commits[:commitConfirmed])
			a := auditingIn(db)
			looks(t, a)
			a.sweeps.at = time.Now().Add(time.Hour) // no rounds
			appendAll(t, db, appends{commits[commitConfirmed]})
			looks(t, a)
			looks(t, a)
			if len(a.touched.order) != 1 || a.Status().Rows != 0 {
				t.Fatalf("the row is not there yet, but %+v waits", a.touched.order)
			}
			appendAll(t, db, appends{commits[commitPaid]})
			looks(t, a) // the show is touched
			appendAll(t, db, appends{commits[commitExpired]})
			project(t, db, 1000)
			if c.tamper != "" {
				if _, err := db.ExecContext(t.Context(), c.tamper); err != nil {
					t.Fatal(err)
				}
			}
			looks(t, a)
			looks(t, a)
			expects(t, a, c.want)
			if rows := a.Status().Rows; rows == 0 {
				t.Error("no row was compared")
			}
		})
	}
}

func TestAnAuditorFindsOldRowsThatWereTamperedWith(t *testing.T) {
	t.Parallel()
	db := stored(t, story())
	for statement, want := range map[string]string{
		`UPDATE availability SET held = held + 1 WHERE ticket_type_id = 2`:                                    "row availability 1/2 0",
		`INSERT INTO availability SELECT show_id, 9, capacity, held, sold, version FROM availability LIMIT 1`: "row availability 1/9 0",
		`INSERT INTO availability VALUES (-5, 1, 0, 0, 0, 1)`:                                                 "row availability -5/1 0",
		`UPDATE availability SET version = version - 1`:                                                       "", // late, as far as anybody knows
		`UPDATE shows SET canceled = true`:                                                                    "row shows 1 0",
		`UPDATE ticket_types SET price = 1 WHERE ticket_type_id = 1`:                                          "row ticket_types 1/1 0",
		`UPDATE order_status SET status = 'COMPLETED' WHERE order_id = '` + orderA + `'`:                      "row order_status " + orderA + " 0",
		`UPDATE order_status SET version = 3 WHERE order_id = '` + orderA + `'`:                               "row order_status " + orderA + " 0",
		`UPDATE order_status SET version = 99 WHERE order_id = '` + orderA + `'`:                              "row order_status " + orderA + " 0",
		`UPDATE order_status SET order_id = 'ORDER-20261122-ffffffff' WHERE order_id = '` + orderD + `'`:      "row order_status ORDER-20261122-ffffffff 0",
		`DELETE FROM order_status WHERE order_id = '` + orderD + `'`:                                          "",
	} {
		t.Run(statement, func(t *testing.T) {
			for _, s := range []string{`TRUNCATE availability, shows, ticket_types, order_status, open_items`} {
				if _, err := db.ExecContext(t.Context(), s); err != nil {
					t.Fatal(err)
				}
			}
			project(t, db, 1000)
			if _, err := db.ExecContext(t.Context(), statement); err != nil {
				t.Fatal(err)
			}
			a := auditingIn(db)
			for range 2 {
				goesRound(t, a)
			}
			if got := strings.Join(violated(a), ", "); got != want {
				t.Errorf("found %s, want %s", got, want)
			}
			if behind := a.Status().Behind; (behind == 1) != (strings.HasPrefix(statement, "DELETE") || strings.Contains(statement, "ffffffff")) {
				t.Errorf("%d rows are behind", behind)
			}
			if want != "" && a.Status().Last.Detail == "" {
				t.Error("it does not say what is wrong")
			}
		})
	}
}

func TestTheRoundsGoInSteps(t *testing.T) {
	t.Parallel()
	db := stored(t, story()[:1])
	const orders = sweepOrders + 50
	var commits appends
	for n := range orders {
		id := domain.OrderID(begin(), uint32(n+1))
		commit := []entry{onShow(domain.TicketsHeld{Movement: moved(1, 0, 0, 0, part(id, 1, lines(1, 1)))})}
		commit = slices.Concat(commit, placed(id, lines(1, 1)), []entry{
			onShow(domain.HoldsReleased{Movement: moved(0, 0, 0, 0, part(id, 1, lines(1, 1)))}),
			canceledOrder(id, domain.Pending, domain.ReasonCustomer, domain.Expired), expiredPayment(id, domain.Requested),
		})
		if n%50 == 0 {
			commits = append(commits, nil)
		}
		commits[len(commits)-1] = append(commits[len(commits)-1], commit...)
	}
	long := domain.OrderID(begin(), sweepOrders/2)
	for range 3 {
		var commit []entry
		for range sweepEvents / 3 {
			commit = append(commit, onOrder(long, domain.OrderPaymentChanged{OrderStep: step(long, domain.Canceled, domain.Canceled), Payment: shownPayment(long, domain.Expired)}))
		}
		commits = append(commits, commit)
	}
	appendAll(t, db, commits)
	project(t, db, 100_000)
	a := auditingIn(db)
	looks(t, a)
	goesRound(t, a)
	goesRound(t, a)
	expects(t, a, nil)
	if s := a.Status(); s.Rounds < 2 || s.Rows < orders-1 || s.Behind != 0 {
		t.Errorf("the status is %+v", s)
	}
	last := domain.OrderID(begin(), orders)
	if _, err := db.ExecContext(t.Context(), `UPDATE order_status SET reason = 'OPERATOR' WHERE order_id = $1`, last); err != nil {
		t.Fatal(err)
	}
	goesRound(t, a)
	expects(t, a, []Finding{{Kind: KindRow, Key: "order_status " + last}})
}

func TestAnAuditorReadsOnly(t *testing.T) {
	t.Parallel()
	db := stored(t, story())
	err := readOnly(db)(t.Context(), func(ctx context.Context, s source) error {
		var id int64
		return s.reader.(postgresLog).db.QueryRowxContext(ctx, `INSERT INTO due (show_id, at) VALUES (1, now()) RETURNING show_id`).Scan(&id)
	})
	if err == nil || !strings.Contains(err.Error(), "read-only transaction") {
		t.Errorf("an auditor may write: %v", err)
	}
}

func TestAnAuditorOutlivesItsDatabase(t *testing.T) {
	t.Parallel()
	postgres := devstack.OwnPostgres(t, nil)
	db, err := eventstore.OpenDB(postgres.URL, 2)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	commits := story()
	appendAll(t, db, commits[:commitPaid])
	a := NewAuditor(db, AuditConfig{Log: slog.New(slog.DiscardHandler), Every: 10 * time.Millisecond})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	reaches(t, a, 12)
	if err := postgres.Server.Crash(); err != nil {
		t.Fatal(err)
	}
	lost := time.Now()
	if err := postgres.Server.Restart(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	appendAll(t, db, commits[commitPaid:])
	reaches(t, a, 43)
	if s := a.Status(); s.CaughtUpAt.Before(lost) || s.Begun != 12 {
		t.Errorf("the status is %+v", s)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	expects(t, a, nil)
}

// reaches waits until an auditor is at a position.
func reaches(t *testing.T, a *Auditor, position int64) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); a.Status().Position != position; <-time.After(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it is at %d, not %d", a.Status().Position, position)
		}
	}
}
