package verify

import (
	"context"
	"strconv"

	"github.com/jmoiron/sqlx"

	"boxoffice/eventstore"
)

// ofTypes finds the ticket type of a key.
func ofTypes(f *fold, key string) (*show, *ticketType) {
	showID, typeID := splitKey(key)
	s := f.shows[showID]
	if s == nil {
		return nil, nil
	}
	return s, s.ticketType(typeID)
}

func unseenTypes(f *fold, table int, fn func(string)) {
	for id, s := range f.shows {
		for i := range s.types {
			if !s.types[i].seen[table] {
				fn(typeKey(id, s.types[i].ID))
			}
		}
	}
}

// availability is the table of what is left.
type availability struct{ db sqlx.QueryerContext }

type availabilityCells struct {
	Capacity cell `db:"capacity"`
	Held     cell `db:"held"`
	Sold     cell `db:"sold"`
}

const selectAvailability = `SELECT show_id, ticket_type_id, version, capacity, held, sold FROM availability `

func (*availability) table() string { return "availability" }

func (m *availability) page(ctx context.Context, after string, limit int) ([]row, error) {
	show, ticketType := splitKey(after)
	return m.rows(ctx, selectAvailability+`WHERE (show_id, ticket_type_id) > ($1, $2) ORDER BY show_id, ticket_type_id LIMIT $3`,
		show, ticketType, limit)
}

func (m *availability) again(ctx context.Context, keys []string) ([]row, error) {
	return m.rows(ctx, selectAvailability+`WHERE show_id || '/' || ticket_type_id = ANY($1::text[])`, eventstore.TextArray(keys))
}

func (m *availability) rows(ctx context.Context, query string, args ...any) ([]row, error) {
	return selectRows(ctx, m.db, query, args, func(scan func(...any) error) (row, error) {
		var show, ticketType, version int64
		var c availabilityCells
		err := scan(&show, &ticketType, &version, &c.Capacity, &c.Held, &c.Sold)
		return row{key: typeKey(show, ticketType), stream: showStream(show), version: version, cells: c}, err
	})
}

func (*availability) fold(f *fold, key string) (row, bool) {
	s, t := ofTypes(f, key)
	if t == nil {
		return row{}, false
	}
	showID, _ := splitKey(key)
	t.seen[0] = true
	return row{key: key, stream: showStream(showID), version: int64(s.version), cells: availabilityCells{
		Capacity: number(t.Capacity), Held: number(t.Held), Sold: number(t.Sold),
	}}, true
}

func (*availability) unseen(f *fold, fn func(string)) { unseenTypes(f, 0, fn) }

// ticketTypes is the table of what is sold.
type ticketTypes struct{ db sqlx.QueryerContext }

type ticketTypeCells struct {
	Name           cell `db:"name"`
	Price          cell `db:"price"`
	MaxPerOrder    cell `db:"max_per_order"`
	MaxPerCustomer cell `db:"max_per_customer"`
	SalesFrom      cell `db:"sales_from"`
	SalesTo        cell `db:"sales_to"`
}

const selectTicketTypes = `SELECT show_id, ticket_type_id, version, name, price, max_per_order, max_per_customer, sales_from,
	sales_to FROM ticket_types `

func (*ticketTypes) table() string { return "ticket_types" }

func (m *ticketTypes) page(ctx context.Context, after string, limit int) ([]row, error) {
	show, ticketType := splitKey(after)
	return m.rows(ctx, selectTicketTypes+`WHERE (show_id, ticket_type_id) > ($1, $2) ORDER BY show_id, ticket_type_id LIMIT $3`,
		show, ticketType, limit)
}

func (m *ticketTypes) again(ctx context.Context, keys []string) ([]row, error) {
	return m.rows(ctx, selectTicketTypes+`WHERE show_id || '/' || ticket_type_id = ANY($1::text[])`, eventstore.TextArray(keys))
}

func (m *ticketTypes) rows(ctx context.Context, query string, args ...any) ([]row, error) {
	return selectRows(ctx, m.db, query, args, func(scan func(...any) error) (row, error) {
		var show, ticketType, version int64
		var c ticketTypeCells
		err := scan(&show, &ticketType, &version, &c.Name, &c.Price, &c.MaxPerOrder, &c.MaxPerCustomer, &c.SalesFrom, &c.SalesTo)
		return row{key: typeKey(show, ticketType), stream: showStream(show), version: version, cells: c}, err
	})
}

func (*ticketTypes) fold(f *fold, key string) (row, bool) {
	s, t := ofTypes(f, key)
	if t == nil {
		return row{}, false
	}
	showID, _ := splitKey(key)
	t.seen[1] = true
	return row{key: key, stream: showStream(showID), version: int64(s.version), cells: ticketTypeCells{
		Name: cell(t.Name), Price: number(t.Price), MaxPerOrder: number(t.MaxPerOrder), MaxPerCustomer: number(t.MaxPerCustomer),
		SalesFrom: instantOrNull(t.SalesFrom), SalesTo: instantOrNull(t.SalesTo),
	}}, true
}

func (*ticketTypes) unseen(f *fold, fn func(string)) { unseenTypes(f, 1, fn) }

// shows is the table of shows.
type shows struct{ db sqlx.QueryerContext }

type showCells struct {
	Name           cell `db:"name"`
	Venue          cell `db:"venue"`
	StartsAt       cell `db:"starts_at"`
	TimeZone       cell `db:"time_zone"`
	Currency       cell `db:"currency"`
	PaymentMethods cell `db:"payment_methods"`
	Paused         cell `db:"paused"`
	Canceled       cell `db:"canceled"`
	Defined        cell `db:"defined"`
	ChangedAt      cell `db:"changed_at"`
	Position       cell `db:"position"`
}

const selectShows = `SELECT show_id, version, name, venue, starts_at, time_zone, currency, payment_methods, paused, canceled, defined,
	changed_at, position FROM shows `

func (*shows) table() string { return "shows" }

func (m *shows) page(ctx context.Context, after string, limit int) ([]row, error) {
	show, _ := splitKey(after)
	return m.rows(ctx, selectShows+`WHERE show_id > $1 ORDER BY show_id LIMIT $2`, show, limit)
}

func (m *shows) again(ctx context.Context, keys []string) ([]row, error) {
	return m.rows(ctx, selectShows+`WHERE show_id::text = ANY($1::text[])`, eventstore.TextArray(keys))
}

func (m *shows) rows(ctx context.Context, query string, args ...any) ([]row, error) {
	return selectRows(ctx, m.db, query, args, func(scan func(...any) error) (row, error) {
		var show, version int64
		var c showCells
		err := scan(&show, &version, &c.Name, &c.Venue, &c.StartsAt, &c.TimeZone, &c.Currency, &c.PaymentMethods,
			&c.Paused, &c.Canceled, &c.Defined, &c.ChangedAt, &c.Position)
		c.PaymentMethods = parsed(c.PaymentMethods, words)
		return row{key: strconv.FormatInt(show, 10), stream: showStream(show), version: version, cells: c}, err
	})
}

func (*shows) fold(f *fold, key string) (row, bool) {
	id, _ := splitKey(key)
	s := f.shows[id]
	if s == nil {
		return row{}, false
	}
	s.seen = true
	return row{key: key, stream: showStream(id), version: int64(s.version), cells: showCells{
		Name: cell(s.name), Venue: cell(s.venue), StartsAt: instant(s.startsAt), TimeZone: cell(s.timeZone), Currency: cell(s.currency),
		PaymentMethods: words(s.methods), Paused: flag(s.paused), Canceled: flag(s.canceled), Defined: number(s.defined),
		ChangedAt: instant(s.changedAt), Position: number(s.position),
	}}, true
}

func (*shows) unseen(f *fold, fn func(string)) {
	for id, s := range f.shows {
		if !s.seen {
			fn(strconv.FormatInt(id, 10))
		}
	}
}
