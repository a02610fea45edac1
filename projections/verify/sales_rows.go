package verify

import (
	"context"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/jmoiron/sqlx"

	"boxoffice/eventstore"
)

// salesByDay is the table of what was sold on which day. Rows of a day that is over keep the version of its last event.
type salesByDay struct{ db sqlx.QueryerContext }

type salesCells struct {
	Orders   cell `db:"orders"`
	Tickets  cell `db:"tickets"`
	Revenue  cell `db:"revenue"`
	Refunds  cell `db:"refunds"`
	Price    cell `db:"price"`
	Currency cell `db:"currency"`
	TimeZone cell `db:"time_zone"`
}

const selectSales = `SELECT show_id, day::text, ticket_type_id, version, orders, tickets, revenue, refunds, price, currency, time_zone
	FROM sales_by_day `

// salesKey is the key of a row per day and ticket type: show/day/type.
func salesKey(show int64, day string, ticketType int64) string {
	return strconv.FormatInt(show, 10) + "/" + day + "/" + strconv.FormatInt(ticketType, 10)
}

// splitSalesKey reads a salesKey; "" is before all.
func splitSalesKey(key string) (show int64, day string, ticketType int64) {
	first, rest, ok := strings.Cut(key, "/")
	day, last, _ := strings.Cut(rest, "/")
	if !ok {
		return math.MinInt64, "-infinity", math.MinInt64
	}
	show, _ = strconv.ParseInt(first, 10, 64)
	ticketType, _ = strconv.ParseInt(last, 10, 64)
	return show, day, ticketType
}

func (*salesByDay) table() string { return "sales_by_day" }

func (m *salesByDay) page(ctx context.Context, after string, limit int) ([]row, error) {
	show, day, ticketType := splitSalesKey(after)
	return m.rows(ctx, selectSales+`WHERE (show_id, day, ticket_type_id) > ($1, $2::text::date, $3)
		ORDER BY show_id, day, ticket_type_id LIMIT $4`, show, day, ticketType, limit)
}

func (m *salesByDay) again(ctx context.Context, keys []string) ([]row, error) {
	return m.rows(ctx, selectSales+`WHERE show_id || '/' || day || '/' || ticket_type_id = ANY($1::text[])`, eventstore.TextArray(keys))
}

func (m *salesByDay) rows(ctx context.Context, query string, args ...any) ([]row, error) {
	return selectRows(ctx, m.db, query, args, func(scan func(...any) error) (row, error) {
		var show, ticketType, version int64
		var day string
		var c salesCells
		err := scan(&show, &day, &ticketType, &version, &c.Orders, &c.Tickets, &c.Revenue, &c.Refunds, &c.Price, &c.Currency, &c.TimeZone)
		return row{key: salesKey(show, day, ticketType), stream: showStream(show), version: version, cells: c}, err
	})
}

func (*salesByDay) fold(f *fold, key string) (row, bool) {
	showID, date, typeID := splitSalesKey(key)
	s, of := f.shows[showID], f.sales[showID]
	if s == nil || of == nil {
		return row{}, false
	}
	at, found := slices.BinarySearchFunc(of.days, date, func(d salesDay, date string) int { return strings.Compare(d.date, date) })
	if !found {
		return row{}, false
	}
	for i := range of.days[at].types {
		if t := &of.days[at].types[i]; t.id == typeID {
			t.seen = true
			return row{key: key, stream: showStream(showID), version: of.days[at].version, cells: salesCells{
				Orders: number(t.orders), Tickets: number(t.tickets), Revenue: number(t.revenue), Refunds: number(t.refunds),
				Price: number(t.price), Currency: cell(s.currency), TimeZone: cell(s.timeZone),
			}}, true
		}
	}
	return row{}, false
}

func (*salesByDay) unseen(f *fold, fn func(string)) {
	for id, of := range f.sales {
		for _, d := range of.days {
			for i := range d.types {
				if !d.types[i].seen {
					fn(salesKey(id, d.date, d.types[i].id))
				}
			}
		}
	}
}
