package projections

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/jmoiron/sqlx"

	"boxoffice/domain"
	"boxoffice/eventstore"
	"boxoffice/internal/views"
)

// selectShowsSQL goes on with a WHERE clause on s and ORDER BY: one row per ticket type of a show.
const selectShowsSQL = `SELECT s.show_id, s.name, s.venue, s.starts_at, s.time_zone, s.currency, s.payment_methods, s.paused,
	s.canceled, s.defined, s.changed_at, s.version, s.position, t.ticket_type_id, t.name AS type_name, t.price,
	t.max_per_order, t.max_per_customer, t.sales_from, t.sales_to, a.capacity, a.held, a.sold
FROM shows s
LEFT JOIN ticket_types t ON t.show_id = s.show_id
LEFT JOIN availability a ON a.show_id = t.show_id AND a.ticket_type_id = t.ticket_type_id
`

const loadShowsSQL = selectShowsSQL + `WHERE s.show_id = ANY($1::bigint[]) ORDER BY s.show_id, t.ticket_type_id`

// showRecord is a row of selectShowsSQL.
type showRecord struct {
	ShowID         int64      `db:"show_id"`
	Name           string     `db:"name"`
	Venue          string     `db:"venue"`
	StartsAt       time.Time  `db:"starts_at"`
	TimeZone       string     `db:"time_zone"`
	Currency       string     `db:"currency"`
	PaymentMethods []byte     `db:"payment_methods"`
	Paused         bool       `db:"paused"`
	Canceled       bool       `db:"canceled"`
	Defined        int64      `db:"defined"`
	ChangedAt      time.Time  `db:"changed_at"`
	Version        int64      `db:"version"`
	Position       int64      `db:"position"`
	TicketTypeID   *int64     `db:"ticket_type_id"` // nil: a show without ticket types
	TypeName       *string    `db:"type_name"`
	Price          *int64     `db:"price"`
	MaxPerOrder    *int64     `db:"max_per_order"`
	MaxPerCustomer *int64     `db:"max_per_customer"`
	SalesFrom      *time.Time `db:"sales_from"`
	SalesTo        *time.Time `db:"sales_to"`
	Capacity       *int64     `db:"capacity"`
	Held           *int64     `db:"held"`
	Sold           *int64     `db:"sold"`
}

func loadShows(ctx context.Context, db sqlx.QueryerContext, keys []string) (map[string]Row[ShowState], error) {
	ids := make([]int64, len(keys))
	for i, key := range keys {
		id, err := strconv.ParseInt(key, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("key of a show: %w", err)
		}
		ids[i] = id
	}
	rows, err := selectShows(ctx, db, loadShowsSQL, eventstore.Int8Array(ids))
	if err != nil {
		return nil, err
	}
	byKey := make(map[string]Row[ShowState], len(rows))
	for _, row := range rows {
		byKey[row.Key] = row
	}
	return byKey, nil
}

// selectShows reads shows with a query that begins with selectShowsSQL and is ordered by show.
func selectShows(ctx context.Context, db sqlx.QueryerContext, query string, args ...any) ([]Row[ShowState], error) {
	var records []showRecord
	if err := sqlx.SelectContext(ctx, db, &records, query, args...); err != nil {
		return nil, err
	}
	var rows []Row[ShowState]
	for _, r := range records {
		if n := len(rows); n == 0 || rows[n-1].State.ShowID != r.ShowID {
			row, err := r.row()
			if err != nil {
				return nil, err
			}
			rows = append(rows, row)
		}
		if r.TicketTypeID != nil {
			r.addTicketType(&rows[len(rows)-1].State)
		}
	}
	return rows, nil
}

func (r showRecord) row() (Row[ShowState], error) {
	s := ShowState{
		ShowFacts: views.ShowFacts{
			ShowID: r.ShowID, Name: r.Name, Venue: r.Venue, StartsAt: r.StartsAt.UTC(), TimeZone: r.TimeZone,
			Currency: r.Currency, Paused: r.Paused, Canceled: r.Canceled,
		},
		Defined: r.Defined, At: r.ChangedAt.UTC(),
	}
	if err := json.Unmarshal(r.PaymentMethods, &s.PaymentMethods); err != nil {
		return Row[ShowState]{}, fmt.Errorf("row of show %d: %w", r.ShowID, err)
	}
	return Row[ShowState]{Key: strconv.FormatInt(r.ShowID, 10), Version: r.Version, Position: r.Position, State: s}, nil
}

func (r showRecord) addTicketType(s *ShowState) {
	t := domain.TicketType{
		TicketTypeID: *r.TicketTypeID, Name: value(r.TypeName), Price: value(r.Price), Capacity: value(r.Capacity),
		MaxPerOrder: value(r.MaxPerOrder), MaxPerCustomer: value(r.MaxPerCustomer),
		SalesFrom: value(r.SalesFrom).UTC(), SalesTo: value(r.SalesTo).UTC(),
	}
	s.TicketTypes = append(s.TicketTypes, t)
	s.Totals = append(s.Totals, domain.Totals{
		TicketTypeID: t.TicketTypeID, Capacity: t.Capacity, Held: value(r.Held), Sold: value(r.Sold),
	})
}

// value is what a column held, or zero for null.
func value[T any](column *T) T {
	if column == nil {
		var zero T
		return zero
	}
	return *column
}

// showTable describes shows.
func showTable() table[Row[ShowState]] {
	type row = Row[ShowState]
	return table[row]{name: "shows", key: []string{"show_id"}, columns: []column[row]{
		number("show_id", func(r *row) int64 { return r.State.ShowID }),
		text("name", func(r *row) string { return r.State.Name }),
		text("venue", func(r *row) string { return r.State.Venue }),
		instant("starts_at", func(r *row) time.Time { return r.State.StartsAt }),
		text("time_zone", func(r *row) string { return r.State.TimeZone }),
		text("currency", func(r *row) string { return r.State.Currency }),
		encoded("payment_methods", func(r *row) any { return r.State.PaymentMethods }),
		flag("paused", func(r *row) bool { return r.State.Paused }),
		flag("canceled", func(r *row) bool { return r.State.Canceled }),
		number("defined", func(r *row) int64 { return r.State.Defined }),
		instant("changed_at", func(r *row) time.Time { return r.State.At }),
		number("version", func(r *row) int64 { return r.Version }),
		number("position", func(r *row) int64 { return r.Position }),
	}}
}

// ofShow is a part of a show with the show's id and version.
type ofShow[T any] struct {
	showID, version int64
	part            T
}

func partsOf[T any](rows []Row[ShowState], parts func(ShowState) []T) []ofShow[T] {
	var all []ofShow[T]
	for _, r := range rows {
		for _, part := range parts(r.State) {
			all = append(all, ofShow[T]{r.State.ShowID, r.Version, part})
		}
	}
	return all
}

// ticketTypeTable describes ticket_types.
func ticketTypeTable() table[ofShow[domain.TicketType]] {
	type row = ofShow[domain.TicketType]
	return table[row]{name: "ticket_types", key: []string{"show_id", "ticket_type_id"}, columns: []column[row]{
		number("show_id", func(r *row) int64 { return r.showID }),
		number("ticket_type_id", func(r *row) int64 { return r.part.TicketTypeID }),
		text("name", func(r *row) string { return r.part.Name }),
		number("price", func(r *row) int64 { return r.part.Price }),
		number("max_per_order", func(r *row) int64 { return r.part.MaxPerOrder }),
		number("max_per_customer", func(r *row) int64 { return r.part.MaxPerCustomer }),
		maybe("sales_from", func(r *row) time.Time { return r.part.SalesFrom }),
		maybe("sales_to", func(r *row) time.Time { return r.part.SalesTo }),
		number("version", func(r *row) int64 { return r.version }),
	}}
}

// availabilityTable describes availability.
func availabilityTable() table[ofShow[domain.Totals]] {
	type row = ofShow[domain.Totals]
	return table[row]{name: "availability", key: []string{"show_id", "ticket_type_id"}, columns: []column[row]{
		number("show_id", func(r *row) int64 { return r.showID }),
		number("ticket_type_id", func(r *row) int64 { return r.part.TicketTypeID }),
		number("capacity", func(r *row) int64 { return r.part.Capacity }),
		number("held", func(r *row) int64 { return r.part.Held }),
		number("sold", func(r *row) int64 { return r.part.Sold }),
		number("version", func(r *row) int64 { return r.version }),
	}}
}
