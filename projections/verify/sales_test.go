package verify

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"boxoffice/domain"
	"boxoffice/eventstore"
)

// priced is a log whose sold and returned tickets tell what was paid for them.
func priced(s appends) appends {
	price := func(members []domain.Member) {
		for i := range members {
			members[i].Lines = slices.Clone(members[i].Lines)
			for n := range members[i].Lines {
				members[i].Lines[n].UnitPrice = prices()[members[i].Lines[n].TicketTypeID]
			}
		}
	}
	for _, commit := range s {
		for _, one := range commit {
			switch e := one.event.(type) {
			case domain.TicketsSold:
				price(e.Members)
			case domain.TicketsReturned:
				price(e.Members)
			}
		}
	}
	return s
}

// overDays stores the story in a city far from Greenwich, with so much time between its commits.
func overDays(t *testing.T, pause time.Duration) *sqlx.DB {
	t.Helper()
	commits := priced(story())
	edit(commits[commitShow], 0, func(e *domain.ShowCreated) { e.TimeZone = "Asia/Jakarta" })
	dearer := domain.TicketTypeChanged{
		ShowID: 1, TicketType: domain.TicketType{TicketTypeID: 1, Name: "Stalls", Price: 999, Capacity: 10}, Totals: moved(4, 0, 2, 0).Totals,
	}
	commits[commitConfirmed] = append(commits[commitConfirmed], onShow(dearer))
	db := stored(t, nil)
	store := eventstore.New(db, eventstore.Config{})
	head, err := store.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	versions := map[string]int64{}
	for i, commit := range commits {
		b := batch(t, head, commit, func(stream string) int64 { return versions[stream] })
		b.Time = begin().Add(time.Duration(i) * pause)
		for _, e := range b.Events {
			versions[e.Stream] = e.Version
		}
		if head, err = store.Append(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	return db
}

func TestTheDaysOfSalesAreThoseOfTheLog(t *testing.T) {
	t.Parallel()
	db := overDays(t, 7*time.Hour)
	project(t, db, math.MaxInt64)
	r, err := Run(t.Context(), db, Config{})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.Findings {
		t.Errorf("found %+v", f)
	}
	var days, tickets, revenue, refunds int
	if err := db.QueryRowxContext(t.Context(), `SELECT count(DISTINCT day), sum(tickets), sum(revenue), sum(refunds) FROM sales_by_day`).Scan(
		&days, &tickets, &revenue, &refunds); err != nil {
		t.Fatal(err)
	}
	// A (2 × 100) and B (100 + 50) were sold, A was given back; the show's events fall on five days.
	if days != 5 || tickets != 4 || revenue != 350 || refunds != 200 || r.Rows["sales_by_day"] != 2*days {
		t.Errorf("%d days, %d tickets for %d, %d given back, %d rows are as the log makes them", days, tickets, revenue, refunds, r.Rows["sales_by_day"])
	}
}

func TestADayOfSalesThatDiffersIsNamed(t *testing.T) {
	t.Parallel()
	db := overDays(t, 7*time.Hour)
	for statement, want := range map[string]string{
		`UPDATE sales_by_day SET revenue = revenue + 1 WHERE revenue = 200`:                               "row sales_by_day 1/2026-11-23/1",
		`UPDATE sales_by_day SET refunds = 0 WHERE refunds > 0`:                                           "row sales_by_day 1/2026-11-26/1",
		`UPDATE sales_by_day SET tickets = 9, orders = 9 WHERE day = '2026-11-22' AND ticket_type_id = 2`: "row sales_by_day 1/2026-11-22/2",
		`UPDATE sales_by_day SET version = version + 1 WHERE day = '2026-11-22' AND ticket_type_id = 2`:   "row sales_by_day 1/2026-11-22/2",
		`UPDATE sales_by_day SET version = version - 1 WHERE day = '2026-11-22' AND ticket_type_id = 2`:   "behind sales_by_day 1/2026-11-22/2",
		`DELETE FROM sales_by_day WHERE day = '2026-11-23' AND ticket_type_id = 2`:                        "behind sales_by_day 1/2026-11-23/2",
		`INSERT INTO sales_by_day SELECT show_id, 'infinity', ticket_type_id, 0, 0, 0, 0, price, currency, time_zone, version
			FROM sales_by_day WHERE day = '2026-11-26' AND ticket_type_id = 2`: "row sales_by_day 1/infinity/2",
		`INSERT INTO sales_by_day VALUES (-5, '2026-11-22', 1, 0, 0, 0, 0, 0, '', '', 1)`: "row sales_by_day -5/2026-11-22/1",
	} {
		t.Run(statement, func(t *testing.T) {
			if _, err := db.ExecContext(t.Context(), `TRUNCATE sales_by_day`); err != nil {
				t.Fatal(err)
			}
			project(t, db, math.MaxInt64)
			if result, err := db.ExecContext(t.Context(), statement); err != nil {
				t.Fatal(err)
			} else if n, err := result.RowsAffected(); n != 1 || err != nil {
				t.Fatalf("%d rows, %v", n, err)
			}
			if got := strings.Join(found(t, db, time.Nanosecond), ", "); got != want {
				t.Errorf("found %s, want %s", got, want)
			}
		})
	}
}

func TestPricesOfSoldTicketsMakeTheOrdersTotal(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		plant func(s appends)
		want  []string
	}{
		{"as they do", func(appends) {}, nil},
		{"tickets are sold for less", func(s appends) {
			edit(s[commitPaid], 0, func(e *domain.TicketsSold) { e.Members[0].Lines[0].UnitPrice = 99 })
		}, []string{"money show-1:3"}},
		{"tickets are given back for more", func(s appends) {
			edit(s[commitOperator], 0, func(e *domain.TicketsReturned) { e.Members[0].Lines[0].UnitPrice = 101 })
		}, []string{"money show-1:8"}},
		{"one of two lines tells no price", func(s appends) {
			edit(s[commitLate], 0, func(e *domain.TicketsSold) { e.Members[0].Lines[1].UnitPrice = 0 })
		}, []string{"money show-1:6"}},
		{"the prices of two lines are swapped, which makes the same total", func(s appends) {
			edit(s[commitLate], 0, func(e *domain.TicketsSold) {
				e.Members[0].Lines[0].UnitPrice, e.Members[0].Lines[1].UnitPrice = 50, 100
			})
		}, []string{"money show-1:6"}},
		{"no number holds what they cost", func(s appends) {
			edit(s[commitPaid], 0, func(e *domain.TicketsSold) { e.Members[0].Lines[0].UnitPrice = math.MaxInt64 })
		}, []string{"money show-1:3"}},
		{"no line tells a price, as before there was one", func(s appends) {
			edit(s[commitPaid], 0, func(e *domain.TicketsSold) { e.Members[0].Lines[0].UnitPrice = 0 })
		}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			commits := priced(story())
			c.plant(commits)
			var got []string
			for _, f := range judged(t, write(t, commits)).Findings {
				got = append(got, string(f.Kind)+" "+f.Key)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("found %q, want %q", got, c.want)
			}
		})
	}
}
