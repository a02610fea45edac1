package verify

import (
	"context"
	"math"
	"strconv"
	"strings"

	"github.com/jmoiron/sqlx"

	"boxoffice/eventstore"
)

// readModels are the tables that are compared with the log.
func readModels(db *sqlx.DB) []model {
	return []model{&availability{db}, &shows{db}, &ticketTypes{db}, &orderStatus{db}, &openItems{db}}
}

// typeKey is the key of a row per ticket type: show/type.
func typeKey(show, ticketType int64) string {
	return strconv.FormatInt(show, 10) + "/" + strconv.FormatInt(ticketType, 10)
}

// splitKey reads a typeKey, or a show's alone; "" is before all.
func splitKey(key string) (show, ticketType int64) {
	if key == "" {
		return math.MinInt64, math.MinInt64
	}
	a, b, _ := strings.Cut(key, "/")
	show, _ = strconv.ParseInt(a, 10, 64)
	ticketType, _ = strconv.ParseInt(b, 10, 64)
	return show, ticketType
}

func showStream(id int64) string { return showPrefix + strconv.FormatInt(id, 10) }

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
type availability struct{ db *sqlx.DB }

type availabilityCells struct{ Capacity, Held, Sold int64 }

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
	return row{key: key, stream: showStream(showID), version: int64(s.version), cells: availabilityCells{t.Capacity, t.Held, t.Sold}}, true
}

func (*availability) unseen(f *fold, fn func(string)) { unseenTypes(f, 0, fn) }

// ticketTypes is the table of what is sold.
type ticketTypes struct{ db *sqlx.DB }

type ticketTypeCells struct {
	Name  string
	Price int64
}

const selectTicketTypes = `SELECT show_id, ticket_type_id, version, name, price FROM ticket_types `

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
		err := scan(&show, &ticketType, &version, &c.Name, &c.Price)
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
	return row{key: key, stream: showStream(showID), version: int64(s.version), cells: ticketTypeCells{t.Name, t.Price}}, true
}

func (*ticketTypes) unseen(f *fold, fn func(string)) { unseenTypes(f, 1, fn) }

// shows is the table of shows.
type shows struct{ db *sqlx.DB }

type showCells struct {
	Name, Venue, Currency string
	Paused, Canceled      bool
}

const selectShows = `SELECT show_id, version, name, venue, currency, paused, canceled FROM shows `

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
		err := scan(&show, &version, &c.Name, &c.Venue, &c.Currency, &c.Paused, &c.Canceled)
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
	return row{key: key, stream: showStream(id), version: int64(s.version), cells: showCells{s.name, s.venue, s.currency, s.paused, s.canceled}}, true
}

func (*shows) unseen(f *fold, fn func(string)) {
	for id, s := range f.shows {
		if !s.seen {
			fn(strconv.FormatInt(id, 10))
		}
	}
}

// openItems is the table of what operators look at. Its rows take the version of the last event that
// spoke of the item.
type openItems struct{ db *sqlx.DB }

type itemCells struct {
	PaymentID string
	Amount    money
	Resolved  bool
}

const selectItems = `SELECT id, version, payment_id, amount, currency, resolved FROM open_items `

func (*openItems) table() string { return "open_items" }

func (m *openItems) page(ctx context.Context, after string, limit int) ([]row, error) {
	return m.rows(ctx, selectItems+`WHERE id > $1 ORDER BY id LIMIT $2`, after, limit)
}

func (m *openItems) again(ctx context.Context, keys []string) ([]row, error) {
	return m.rows(ctx, selectItems+`WHERE id = ANY($1::text[])`, eventstore.TextArray(keys))
}

func (m *openItems) rows(ctx context.Context, query string, args ...any) ([]row, error) {
	return selectRows(ctx, m.db, query, args, func(scan func(...any) error) (row, error) {
		var r row
		var c itemCells
		err := scan(&r.key, &r.version, &c.PaymentID, &c.Amount.Amount, &c.Amount.Currency, &c.Resolved)
		if cut := strings.LastIndexByte(r.key, ':'); cut >= 0 {
			r.stream = r.key[:cut]
		}
		r.cells = c
		return r, err
	})
}

func (*openItems) fold(f *fold, key string) (row, bool) {
	it := f.items[key]
	if it == nil {
		return row{}, false
	}
	it.seen = true
	return row{key: key, stream: it.stream, version: it.version, cells: itemCells{it.paymentID, it.amount, it.resolved}}, true
}

func (*openItems) unseen(f *fold, fn func(string)) {
	for id, it := range f.items {
		if !it.seen {
			fn(id)
		}
	}
}
