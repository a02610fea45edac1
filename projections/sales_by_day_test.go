package projections

import (
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"pgregory.net/rapid"

	"boxoffice/domain"
	"boxoffice/eventstore"
)

// dated is an event and when it was recorded.
type dated struct {
	at    string
	event domain.Event
}

// streamOn is show 7's stream of these events.
func streamOn(t testing.TB, given ...dated) []eventstore.Recorded {
	t.Helper()
	var all []eventstore.Recorded
	for i, g := range given {
		e := stored(t, domain.ShowStream(7), int64(i)+1, g.event)
		var err error
		if e.RecordedAt, err = time.Parse(time.RFC3339, g.at); err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	return all
}

// createdIn is show 7 with a ticket type 1 at 100 and a type 2 at 50, in a time zone.
func createdIn(zone string) domain.ShowCreated {
	ev := created(7, 10)
	ev.TimeZone = zone
	ev.TicketTypes = []domain.TicketType{costing(1, 100), costing(2, 50)}
	return ev
}

func costing(id, amount int64) domain.TicketType {
	ticketType := ticketType(id, 10)
	ticketType.Price = amount
	return ticketType
}

func repriced(id, amount int64) domain.TicketTypeChanged {
	return domain.TicketTypeChanged{ShowID: 7, TicketType: costing(id, amount)}
}

// order is a member with these lines: type, quantity, price, and so on.
func order(lines ...int64) domain.Member {
	m := domain.Member{OrderID: orderNumber(1)}
	for line := range slices.Chunk(lines, 3) {
		m.Lines = append(m.Lines, domain.HeldLine{TicketTypeID: line[0], Quantity: line[1], UnitPrice: line[2]})
	}
	return m
}

func sale(orders ...domain.Member) domain.TicketsSold {
	return domain.TicketsSold{Movement: domain.Movement{ShowID: 7, Members: orders}}
}

func takenBack(orders ...domain.Member) domain.TicketsReturned {
	return domain.TicketsReturned{Movement: domain.Movement{ShowID: 7, Members: orders}}
}

// told is a row in words: day, type, orders, tickets, revenue, refunds, price, and the version.
func (r salesRow) told() string {
	return fmt.Sprintf("%s %d: %d %d %d %d at %d @%d", r.date, r.TicketTypeID, r.Orders, r.Tickets, r.Revenue, r.Refunds, r.Price, r.version)
}

func toldRows(rows []salesRow) []string {
	var all []string
	for _, r := range rows {
		all = append(all, r.told())
	}
	return all
}

func TestSalesFold(t *testing.T) {
	t.Parallel()
	const day1, day2 = "2025-02-05T03:00:00Z", "2025-02-06T03:00:00Z"
	jakarta := dated{day1, createdIn("Asia/Jakarta")}
	for name, c := range map[string]struct {
		given []dated
		want  []string
	}{
		"a new show has sold nothing": {[]dated{jakarta}, []string{
			"2025-02-05 1: 0 0 0 0 at 100 @1", "2025-02-05 2: 0 0 0 0 at 50 @1",
		}},
		"what is held is not sold": {[]dated{jakarta, {day1, held(7, totals(10, 3, 0))}}, []string{
			"2025-02-05 1: 0 0 0 0 at 100 @2", "2025-02-05 2: 0 0 0 0 at 50 @2",
		}},
		"an order of two types is one of each": {[]dated{jakarta, {day1, sale(order(1, 2, 100, 2, 3, 50), order(1, 1, 100))}}, []string{
			"2025-02-05 1: 2 3 300 0 at 100 @2", "2025-02-05 2: 1 3 150 0 at 50 @2",
		}},
		"a sale counts at the order's price, whatever tickets cost since": {[]dated{jakarta, {day1, held(7, totals(10, 2, 0))}, {day1, repriced(1, 900)}, {day1, sale(order(1, 2, 100))}}, []string{
			"2025-02-05 1: 1 2 200 0 at 900 @4", "2025-02-05 2: 0 0 0 0 at 50 @4",
		}},
		"an old sale without a price counts at what tickets cost then": {[]dated{jakarta, {day1, sale(order(1, 2, 0))}, {day1, repriced(1, 900)}, {day1, sale(order(1, 1, 0))}}, []string{
			"2025-02-05 1: 2 3 1100 0 at 900 @4", "2025-02-05 2: 0 0 0 0 at 50 @4",
		}},
		"what is returned on a later day leaves the day of the sale": {[]dated{jakarta, {day1, sale(order(1, 2, 100))}, {day2, repriced(1, 70)}, {day2, takenBack(order(1, 2, 100))}}, []string{
			"2025-02-05 1: 1 2 200 0 at 100 @2", "2025-02-05 2: 0 0 0 0 at 50 @2",
			"2025-02-06 1: 0 0 0 200 at 70 @4", "2025-02-06 2: 0 0 0 0 at 50 @4",
		}},
		"a day on which nothing happened has no rows, one on which nothing was sold has zeros": {
			[]dated{jakarta, {day2, held(7, totals(10, 1, 0))}, {"2025-02-09T03:00:00Z", sale(order(2, 1, 50))}},
			[]string{
				"2025-02-05 1: 0 0 0 0 at 100 @1", "2025-02-05 2: 0 0 0 0 at 50 @1",
				"2025-02-06 1: 0 0 0 0 at 100 @2", "2025-02-06 2: 0 0 0 0 at 50 @2",
				"2025-02-09 1: 0 0 0 0 at 100 @3", "2025-02-09 2: 1 1 50 0 at 50 @3",
			},
		},
		"a ticket type that is added has rows from then on": {[]dated{jakarta, {day2, domain.TicketTypeAdded{ShowID: 7, TicketType: costing(3, 7)}}, {day2, sale(order(3, 1, 7))}}, []string{
			"2025-02-05 1: 0 0 0 0 at 100 @1", "2025-02-05 2: 0 0 0 0 at 50 @1",
			"2025-02-06 1: 0 0 0 0 at 100 @3", "2025-02-06 2: 0 0 0 0 at 50 @3", "2025-02-06 3: 1 1 7 0 at 7 @3",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			row, err := foldRow(SalesByDay(), "7", streamOn(t, c.given...))
			if err != nil {
				t.Fatal(err)
			}
			rows := salesRows([]Row[SalesState]{row})
			if got := toldRows(rows); !slices.Equal(got, c.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
			if r := rows[0]; r.showID != 7 || r.currency != "IDR" || r.timeZone != "Asia/Jakarta" {
				t.Errorf("the first row is %+v", r)
			}
		})
	}
}

func TestADayOfSalesIsThatOfTheShowsPlace(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, zone, before, after, days string }{
		{"midnight in the east", "Asia/Jakarta", "2025-02-05T16:59:59Z", "2025-02-05T17:00:00Z", "2025-02-05 2025-02-06"},
		{"midnight in the west", "America/New_York", "2025-02-06T04:59:59Z", "2025-02-06T05:00:00Z", "2025-02-05 2025-02-06"},
		{"the night before clocks go on", "Europe/Berlin", "2025-03-29T22:59:59Z", "2025-03-29T23:00:00Z", "2025-03-29 2025-03-30"},
		{"a day of 23 hours", "Europe/Berlin", "2025-03-30T21:59:59Z", "2025-03-30T22:00:00Z", "2025-03-30 2025-03-31"},
		{"a day of 25 hours", "Europe/Berlin", "2025-10-26T22:59:59Z", "2025-10-26T23:00:00Z", "2025-10-26 2025-10-27"},
		{"clocks go from midnight to one", "America/Santiago", "2025-09-07T03:59:59Z", "2025-09-07T04:00:00Z", "2025-09-06 2025-09-07"},
		{"clocks go back from after midnight to the day before", "America/St_Johns", "2010-11-07T02:30:30Z", "2010-11-07T02:40:00Z", "2010-11-07"},
		{"a zone that nobody knows is UTC", "Mars/Olympus", "2025-02-05T23:59:59Z", "2025-02-06T00:00:00Z", "2025-02-05 2025-02-06"},
		{"no zone is UTC", "", "2025-02-05T23:59:59Z", "2025-02-06T00:00:00Z", "2025-02-05 2025-02-06"},
		{"the zone of whoever folds is none", "Local", "2025-02-05T23:59:59Z", "2025-02-06T00:00:00Z", "2025-02-05 2025-02-06"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			row, err := foldRow(SalesByDay(), "7", streamOn(t, dated{c.before, createdIn(c.zone)}, dated{c.after, sale(order(1, 1, 100))}))
			if err != nil {
				t.Fatal(err)
			}
			var days []string
			for _, r := range salesRows([]Row[SalesState]{row}) {
				if r.TicketTypeID == 1 {
					days = append(days, r.date)
				}
			}
			if got := strings.Join(days, " "); got != c.days {
				t.Errorf("the days are %s, want %s", got, c.days)
			}
		})
	}
}

func TestSalesThatCantBeFolded(t *testing.T) {
	t.Parallel()
	const at = "2025-02-05T03:00:00Z"
	for name, bad := range map[string]domain.Event{
		"of a ticket type that was never offered": sale(order(3, 1, 100)),
		"of fewer than no tickets":                sale(order(1, -1, 100)),
		"that no number holds":                    sale(order(1, 2, math.MaxInt64)),
		"whose sum no number holds":               takenBack(order(1, 1, math.MaxInt64), order(1, 1, 1)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			events := streamOn(t, dated{at, createdIn("UTC")}, dated{at, sale(order(1, 1, 100))}, dated{at, bad})
			rows := newRows(SalesByDay())
			for _, e := range events[:2] {
				if _, err := rows.Fold("7", e); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := rows.Fold("7", events[2]); !errors.Is(err, ErrPoison) {
				t.Errorf("got %v", err)
			}
			want := []string{"2025-02-05 1: 1 1 100 0 at 100 @2", "2025-02-05 2: 0 0 0 0 at 50 @2"}
			if got := toldRows(salesRows([]Row[SalesState]{rows.all["7"].Row})); !slices.Equal(got, want) {
				t.Errorf("it left %q", got)
			}
		})
	}
	t.Run("of a type that nobody knows", func(t *testing.T) {
		t.Parallel()
		events := streamOn(t, dated{at, createdIn("UTC")}, dated{at, held(7, nil)})
		events[1].Type = "TicketsEaten"
		if _, err := foldRow(SalesByDay(), "7", events); !errors.Is(err, ErrPoison) || !errors.Is(err, domain.ErrUnknownType) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("of a form that nobody knows", func(t *testing.T) {
		t.Parallel()
		events := streamOn(t, dated{at, createdIn("UTC")}, dated{at, sale()})
		events[1].SchemaVersion = 9
		if _, err := foldRow(SalesByDay(), "7", events); !errors.Is(err, ErrPoison) || !errors.Is(err, domain.ErrSchemaVersion) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("but what is not looked at need not be readable", func(t *testing.T) {
		t.Parallel()
		events := streamOn(t, dated{at, createdIn("UTC")}, dated{at, held(7, nil)})
		events[1].Data = []byte(`7`)
		if row, err := foldRow(SalesByDay(), "7", events); err != nil || row.Version != 2 {
			t.Errorf("got %+v, %v", row, err)
		}
	})
}

// tester is what a test and a rapid check have in common.
type tester interface {
	Helper()
	Context() context.Context
	Fatal(args ...any)
}

// salesIn are the rows of a show as they are stored.
func salesIn(t tester, db *sqlx.DB, show int64) []string {
	t.Helper()
	found, err := db.QueryContext(t.Context(), `SELECT to_char(day, 'YYYY-MM-DD'), ticket_type_id, orders, tickets, revenue, refunds, price, version
		FROM sales_by_day WHERE show_id = $1 ORDER BY day, ticket_type_id`, show)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = found.Close() }()
	var all []salesRow
	for found.Next() {
		var r salesRow
		if err := found.Scan(&r.date, &r.TicketTypeID, &r.Orders, &r.Tickets, &r.Revenue, &r.Refunds, &r.Price, &r.version); err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	if err := found.Err(); err != nil {
		t.Fatal(err)
	}
	return toldRows(all)
}

func TestFinishedDaysStandAndOnlyTheNewestIsRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.now = time.Date(2025, 2, 5, 3, 0, 0, 0, time.UTC)
	w.happens(t, createdIn("Asia/Jakarta"), sale(order(1, 2, 100)))
	w.now = w.now.Add(24 * time.Hour)
	w.happens(t, sale(order(2, 1, 50)))
	before := salesIn(t, w.db, 7)
	rows, err := loadSales(t.Context(), w.db, []string{"7", "8"})
	if err != nil {
		t.Fatal(err)
	}
	want := Row[SalesState]{Key: "7", Version: 3, State: SalesState{
		SalesDay: SalesDay{Date: "2025-02-06", Types: []TypeSales{{TicketTypeID: 1, Price: 100}, {TicketTypeID: 2, Price: 50, Orders: 1, Tickets: 1, Revenue: 50}}},
		Currency: "IDR", TimeZone: "Asia/Jakarta", zone: rows["7"].State.zone,
	}}
	if len(rows) != 1 || !reflect.DeepEqual(rows["7"], want) || want.State.zone.String() != "Asia/Jakarta" {
		t.Errorf("read %+v, want %+v", rows, want)
	}
	w.now = w.now.Add(48 * time.Hour)
	w.happens(t, takenBack(order(1, 2, 100)))
	if got := salesIn(t, w.db, 7); !slices.Equal(got[:4], before) || !slices.Equal(got[4:], []string{
		"2025-02-08 1: 0 0 0 200 at 100 @4", "2025-02-08 2: 0 0 0 0 at 50 @4",
	}) {
		t.Errorf("was\n%s\nis\n%s", strings.Join(before, "\n"), strings.Join(got, "\n"))
	}
}

// However a show's messages are cut into batches, repeated and lost before the last, its days are what a plain
// fold of the log makes of them, and no ticket is missing or counted twice.
func TestDaysAreTheFoldOfTheLogHoweverItArrives(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.now = time.Date(2025, 3, 1, 0, 0, 0, 0, time.UTC)
	var numbers atomic.Int64
	rapid.Check(t, func(rt *rapid.T) {
		show := 1000 + numbers.Add(1)
		first := createdIn(rapid.SampledFrom([]string{"Asia/Jakarta", "Europe/Berlin", "America/St_Johns", "nowhere"}).Draw(rt, "zone"))
		first.ShowID = show
		events := w.append(t, first)
		var sold, revenue, refunds int64
		for range rapid.IntRange(0, 12).Draw(rt, "steps") {
			w.now = w.now.Add(time.Duration(rapid.IntRange(0, 40).Draw(rt, "hours")) * time.Hour)
			n, cost := rapid.Int64Range(1, 4).Draw(rt, "tickets"), rapid.Int64Range(1, 9).Draw(rt, "price")
			lines := order(1, n, cost, 2, n, cost)
			moved := domain.Movement{ShowID: show, Members: []domain.Member{lines, lines}}
			var next domain.Event
			switch rapid.IntRange(0, 4).Draw(rt, "kind") {
			case 0, 1:
				next, sold, revenue = domain.TicketsSold{Movement: moved}, sold+4*n, revenue+4*n*cost
			case 2:
				next, refunds = domain.TicketsReturned{Movement: moved}, refunds+4*n*cost
			case 3:
				next = domain.TicketTypeChanged{ShowID: show, TicketType: costing(1, cost)}
			default:
				next = domain.TicketsHeld{Movement: moved}
			}
			events = append(events, w.append(t, next)...)
		}
		p := place{topic: "sales", partition: int32(show)}
		messages := w.messages(p, drawDelivery(rt, [][]eventstore.Recorded{events})...)
		a := w.applier(SalesByDay())
		start(t, a, p, 0, int64(len(messages)))
		for rest := messages; len(rest) > 0; {
			size := rapid.IntRange(1, len(rest)).Draw(rt, "batch")
			apply(t, a, p, rest[:size])
			rest = rest[size:]
		}
		plain, err := foldRow(SalesByDay(), fmt.Sprint(show), events)
		if err != nil {
			rt.Fatal(err)
		}
		rows := salesRows([]Row[SalesState]{plain})
		if got, want := salesIn(rt, w.db, show), toldRows(rows); !slices.Equal(got, want) {
			rt.Fatalf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		for _, r := range rows {
			sold, revenue, refunds = sold-r.Tickets, revenue-r.Revenue, refunds-r.Refunds
		}
		if sold != 0 || revenue != 0 || refunds != 0 {
			rt.Fatalf("%d tickets, revenue %d and refunds %d are missing", sold, revenue, refunds)
		}
	})
}
