package projections

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/jmoiron/sqlx"

	"boxoffice/domain"
	"boxoffice/eventstore"
)

// SalesByDay is the read model of what was sold and what went back: a row per ticket type of a show and day, in the
// show's time zone. It is fed by the show's stream alone. Every event of a show moves the version of the rows of its
// newest day; the first event of a day makes rows for all ticket types, and those of the day before stay as they are.
func SalesByDay() *Model[SalesState] {
	days := salesTable()
	return &Model[SalesState]{
		Def:    Definition{Name: "sales_by_day", Number: 1, Topic: OrdersTopic, Prefix: showStreams, Tables: []string{"sales_by_day"}},
		KeyOf:  showKey,
		Decode: decodeSales,
		Apply:  applySales,
		Load:   loadSales,
		Fill:   func(rows []Row[SalesState]) []Filled { return []Filled{days.with(salesRows(rows))} },
	}
}

// SalesState is a show's newest day, and the days before it that were folded with it. Days that are older than
// those stand in the table and don't change any more.
type SalesState struct {
	SalesDay
	Finished []SalesDay // oldest first
	Currency string
	TimeZone string // as the show has it
	zone     *time.Location
}

// SalesDay is what was sold of a show on a day.
type SalesDay struct {
	Date    string // 2006-01-02, where the show is
	Version int64  // of the last event of a finished day; of the newest one see its row
	Types   []TypeSales
}

// TypeSales is what was sold of a ticket type on a day. Revenue is what the sold tickets cost and Refunds what those
// cost that were returned on this day, whenever they had been sold; both in the smallest unit of the show's currency.
type TypeSales struct {
	TicketTypeID int64
	Price        int64 // what a ticket costs now
	Orders       int64 // with tickets of this type
	Tickets      int64
	Revenue      int64
	Refunds      int64
}

// trade is what sales need of an event that sells tickets or takes them back: the lines of its members.
type trade struct {
	Members []struct {
		Lines []domain.HeldLine `json:"lines"`
	} `json:"members"`
	returned bool
}

// EventType makes trade an event of the fold; it is never stored.
func (trade) EventType() string { return "trade" }

// elapsed is an event that tells sales only that time has gone on.
type elapsed struct{}

// EventType makes elapsed an event of the fold; it is never stored.
func (elapsed) EventType() string { return "elapsed" }

func decodeSales(e eventstore.Recorded) (domain.Event, error) {
	switch e.Type {
	case "ShowCreated", "TicketTypeAdded", "TicketTypeChanged":
		return decode(e)
	case "TicketsSold", "TicketsReturned":
		return decodeTrade(e)
	default:
		return elapsed{}, readable(e)
	}
}

func decodeTrade(e eventstore.Recorded) (domain.Event, error) {
	data, err := currentForm(e)
	if err != nil {
		return nil, err
	}
	t := trade{returned: e.Type == "TicketsReturned"}
	if err := json.Unmarshal(data, &t); err != nil {
		return nil, fmt.Errorf("decode %s: %w", e.Type, err)
	}
	return t, nil
}

func applySales(s *SalesState, e eventstore.Recorded, ev domain.Event) error {
	if ev, ok := ev.(domain.ShowCreated); ok {
		s.Currency, s.TimeZone, s.zone = ev.Currency, ev.TimeZone, salesZone(ev.TimeZone)
	}
	s.begin(e)
	switch ev := ev.(type) {
	case domain.ShowCreated:
		for _, t := range ev.TicketTypes {
			s.offer(t)
		}
	case domain.TicketTypeAdded:
		s.offer(ev.TicketType)
	case domain.TicketTypeChanged:
		s.offer(ev.TicketType)
	case trade:
		return s.count(ev)
	}
	return nil
}

// salesZone is the time zone of a show; one that this machine does not know counts as UTC, and so does the
// machine's own, which is another one elsewhere.
func salesZone(name string) *time.Location {
	zone, err := time.LoadLocation(name)
	if err != nil || zone == time.Local {
		return time.UTC
	}
	return zone
}

// begin finishes the newest day if the event is of a later one. Days never run backwards, though a clock that is
// put back at midnight does.
func (s *SalesState) begin(e eventstore.Recorded) {
	if s.zone == nil {
		s.zone = time.UTC
	}
	date := e.RecordedAt.In(s.zone).Format(time.DateOnly)
	if date <= s.Date {
		return
	}
	if s.Date != "" {
		s.Finished = append(slices.Clip(s.Finished), SalesDay{s.Date, e.Version - 1, s.Types})
	}
	types := make([]TypeSales, len(s.Types))
	for i, t := range s.Types {
		types[i] = TypeSales{TicketTypeID: t.TicketTypeID, Price: t.Price}
	}
	s.Date, s.Types = date, types
}

// offer adds a ticket type, or changes what it costs.
func (s *SalesState) offer(t domain.TicketType) {
	types := slices.Clone(s.Types)
	i, known := typeAt(types, t.TicketTypeID)
	if !known {
		types = slices.Insert(types, i, TypeSales{TicketTypeID: t.TicketTypeID})
	}
	types[i].Price = t.Price
	s.Types = types
}

// count adds what was sold or returned. Lines have carried their price only since this read model exists; an older
// one counts at what a ticket of its type costs when it is folded, because the show's stream tells nothing better.
func (s *SalesState) count(t trade) error {
	types := slices.Clone(s.Types)
	for _, member := range t.Members {
		for _, line := range member.Lines {
			i, known := typeAt(types, line.TicketTypeID)
			if !known {
				return fmt.Errorf("ticket type %d was never offered", line.TicketTypeID)
			}
			of := &types[i]
			worth, err := domain.Money{Amount: cmp.Or(line.UnitPrice, of.Price)}.Times(line.Quantity)
			sum := &of.Refunds
			if !t.returned {
				sum = &of.Revenue
				of.Orders++
				of.Tickets += line.Quantity
			}
			if err == nil {
				worth, err = worth.Plus(domain.Money{Amount: *sum})
			}
			if err != nil {
				return fmt.Errorf("sales of ticket type %d: %w", line.TicketTypeID, err)
			}
			*sum = worth.Amount
		}
	}
	s.Types = types
	return nil
}

// typeAt finds a ticket type, or where it belongs.
func typeAt(types []TypeSales, id int64) (int, bool) {
	return slices.BinarySearchFunc(types, id, func(t TypeSales, id int64) int { return cmp.Compare(t.TicketTypeID, id) })
}

// loadSalesSQL reads the newest day of shows.
const loadSalesSQL = `SELECT s.show_id, to_char(s.day, 'YYYY-MM-DD') AS day, s.ticket_type_id, s.price, s.orders, s.tickets, s.revenue,
	s.refunds, s.currency, s.time_zone, s.version
FROM unnest($1::bigint[]) AS k (show_id)
CROSS JOIN LATERAL (SELECT n.day FROM sales_by_day n WHERE n.show_id = k.show_id ORDER BY n.day DESC LIMIT 1) AS newest
JOIN sales_by_day s ON s.show_id = k.show_id AND s.day = newest.day
ORDER BY s.show_id, s.ticket_type_id`

func loadSales(ctx context.Context, db sqlx.QueryerContext, keys []string) (map[string]Row[SalesState], error) {
	ids := make([]int64, len(keys))
	for i, key := range keys {
		var err error
		if ids[i], err = strconv.ParseInt(key, 10, 64); err != nil {
			return nil, fmt.Errorf("key of a show: %w", err)
		}
	}
	found, err := db.QueryxContext(ctx, loadSalesSQL, eventstore.Int8Array(ids))
	if err != nil {
		return nil, err
	}
	defer func() { _ = found.Close() }()
	byKey := map[string]Row[SalesState]{}
	for found.Next() {
		var key string
		var row Row[SalesState]
		var t TypeSales
		if err := found.Scan(&key, &row.State.Date, &t.TicketTypeID, &t.Price, &t.Orders, &t.Tickets, &t.Revenue, &t.Refunds,
			&row.State.Currency, &row.State.TimeZone, &row.Version); err != nil {
			return nil, err
		}
		if before, again := byKey[key]; again {
			row = before
		} else {
			row.Key, row.State.zone = key, salesZone(row.State.TimeZone)
		}
		row.State.Types = append(row.State.Types, t)
		byKey[key] = row
	}
	return byKey, found.Err()
}

// salesRow is a row of sales_by_day.
type salesRow struct {
	showID, version          int64
	date, currency, timeZone string
	TypeSales
}

func salesRows(rows []Row[SalesState]) []salesRow {
	var all []salesRow
	for _, r := range rows {
		showID, _ := strconv.ParseInt(r.Key, 10, 64) // showKey has read it
		newest := r.State.SalesDay
		newest.Version = r.Version
		for _, d := range append(slices.Clip(r.State.Finished), newest) {
			for _, t := range d.Types {
				all = append(all, salesRow{showID, d.Version, d.Date, r.State.Currency, r.State.TimeZone, t})
			}
		}
	}
	return all
}

// salesTable describes sales_by_day.
func salesTable() table[salesRow] {
	type row = salesRow
	return table[row]{name: "sales_by_day", key: []string{"show_id", "day", "ticket_type_id"}, columns: []column[row]{
		number("show_id", func(r *row) int64 { return r.showID }),
		day("day", func(r *row) string { return r.date }),
		number("ticket_type_id", func(r *row) int64 { return r.TicketTypeID }),
		number("orders", func(r *row) int64 { return r.Orders }),
		number("tickets", func(r *row) int64 { return r.Tickets }),
		number("revenue", func(r *row) int64 { return r.Revenue }),
		number("refunds", func(r *row) int64 { return r.Refunds }),
		number("price", func(r *row) int64 { return r.Price }),
		text("currency", func(r *row) string { return r.currency }),
		text("time_zone", func(r *row) string { return r.timeZone }),
		number("version", func(r *row) int64 { return r.version }),
	}}
}
