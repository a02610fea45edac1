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

const saveShowsSQL = `INSERT INTO shows AS t (show_id, name, venue, starts_at, time_zone, currency, payment_methods, paused,
	canceled, defined, changed_at, version, position)
SELECT u.show_id, u.name, u.venue, u.starts_at, u.time_zone, u.currency, u.payment_methods, u.paused = 1, u.canceled = 1,
	u.defined, u.changed_at, u.version, u.position
FROM unnest($1::bigint[], $2::text[], $3::text[], $4::timestamptz[], $5::text[], $6::text[], $7::json[], $8::bigint[],
	$9::bigint[], $10::bigint[], $11::timestamptz[], $12::bigint[], $13::bigint[])
	AS u (show_id, name, venue, starts_at, time_zone, currency, payment_methods, paused, canceled, defined, changed_at,
	version, position)
ON CONFLICT (show_id) DO UPDATE SET name = excluded.name, venue = excluded.venue, starts_at = excluded.starts_at,
	time_zone = excluded.time_zone, currency = excluded.currency, payment_methods = excluded.payment_methods,
	paused = excluded.paused, canceled = excluded.canceled, defined = excluded.defined, changed_at = excluded.changed_at,
	version = excluded.version, position = excluded.position
WHERE excluded.version > t.version`

const saveTicketTypesSQL = `INSERT INTO ticket_types AS t (show_id, ticket_type_id, name, price, max_per_order,
	max_per_customer, sales_from, sales_to, version)
SELECT u.show_id, u.ticket_type_id, u.name, u.price, u.max_per_order, u.max_per_customer,
	NULLIF(u.sales_from, '0001-01-01T00:00:00Z'), NULLIF(u.sales_to, '0001-01-01T00:00:00Z'), u.version
FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::timestamptz[],
	$8::timestamptz[], $9::bigint[])
	AS u (show_id, ticket_type_id, name, price, max_per_order, max_per_customer, sales_from, sales_to, version)
ON CONFLICT (show_id, ticket_type_id) DO UPDATE SET name = excluded.name, price = excluded.price,
	max_per_order = excluded.max_per_order, max_per_customer = excluded.max_per_customer,
	sales_from = excluded.sales_from, sales_to = excluded.sales_to, version = excluded.version
WHERE excluded.version > t.version`

const saveAvailabilitySQL = `INSERT INTO availability AS t (show_id, ticket_type_id, capacity, held, sold, version)
SELECT u.show_id, u.ticket_type_id, u.capacity, u.held, u.sold, u.version
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[])
	AS u (show_id, ticket_type_id, capacity, held, sold, version)
ON CONFLICT (show_id, ticket_type_id) DO UPDATE SET capacity = excluded.capacity, held = excluded.held,
	sold = excluded.sold, version = excluded.version
WHERE excluded.version > t.version`

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

func saveShows(ctx context.Context, tx *sqlx.Tx, rows []Row[ShowState]) error {
	if err := saveShowRows(ctx, tx, rows); err != nil {
		return fmt.Errorf("shows: %w", err)
	}
	if err := saveTicketTypes(ctx, tx, rows); err != nil {
		return fmt.Errorf("ticket types: %w", err)
	}
	if err := saveAvailability(ctx, tx, rows); err != nil {
		return fmt.Errorf("availability: %w", err)
	}
	return nil
}

func saveShowRows(ctx context.Context, tx *sqlx.Tx, rows []Row[ShowState]) error {
	type row = Row[ShowState]
	c := columns[row]{rows: rows}
	args := []any{
		c.number(func(r *row) int64 { return r.State.ShowID }),
		c.text(func(r *row) string { return r.State.Name }),
		c.text(func(r *row) string { return r.State.Venue }),
		c.time(func(r *row) time.Time { return r.State.StartsAt }),
		c.text(func(r *row) string { return r.State.TimeZone }),
		c.text(func(r *row) string { return r.State.Currency }),
		c.json(func(r *row) any { return r.State.PaymentMethods }),
		c.flag(func(r *row) bool { return r.State.Paused }),
		c.flag(func(r *row) bool { return r.State.Canceled }),
		c.number(func(r *row) int64 { return r.State.Defined }),
		c.time(func(r *row) time.Time { return r.State.At }),
		c.number(func(r *row) int64 { return r.Version }),
		c.number(func(r *row) int64 { return r.Position }),
	}
	if c.err != nil {
		return c.err
	}
	_, err := tx.ExecContext(ctx, saveShowsSQL, args...)
	return err
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

func saveTicketTypes(ctx context.Context, tx *sqlx.Tx, rows []Row[ShowState]) error {
	type row = ofShow[domain.TicketType]
	c := columns[row]{rows: partsOf(rows, func(s ShowState) []domain.TicketType { return s.TicketTypes })}
	_, err := tx.ExecContext(ctx, saveTicketTypesSQL,
		c.number(func(r *row) int64 { return r.showID }),
		c.number(func(r *row) int64 { return r.part.TicketTypeID }),
		c.text(func(r *row) string { return r.part.Name }),
		c.number(func(r *row) int64 { return r.part.Price }),
		c.number(func(r *row) int64 { return r.part.MaxPerOrder }),
		c.number(func(r *row) int64 { return r.part.MaxPerCustomer }),
		c.time(func(r *row) time.Time { return r.part.SalesFrom }),
		c.time(func(r *row) time.Time { return r.part.SalesTo }),
		c.number(func(r *row) int64 { return r.version }))
	return err
}

func saveAvailability(ctx context.Context, tx *sqlx.Tx, rows []Row[ShowState]) error {
	type row = ofShow[domain.Totals]
	c := columns[row]{rows: partsOf(rows, func(s ShowState) []domain.Totals { return s.Totals })}
	_, err := tx.ExecContext(ctx, saveAvailabilitySQL,
		c.number(func(r *row) int64 { return r.showID }),
		c.number(func(r *row) int64 { return r.part.TicketTypeID }),
		c.number(func(r *row) int64 { return r.part.Capacity }),
		c.number(func(r *row) int64 { return r.part.Held }),
		c.number(func(r *row) int64 { return r.part.Sold }),
		c.number(func(r *row) int64 { return r.version }))
	return err
}
