package verify

import (
	"context"

	"github.com/jmoiron/sqlx"

	"boxoffice/eventstore"
)

// orderStatus is the table of orders.
type orderStatus struct{ db sqlx.QueryerContext }

const selectOrders = `SELECT order_id, version, status, reason, show_id, lines, total, currency, placed_at, expires_at,
	customer_ref, placed_position, payment, refund_status, refund_amount, refunds, tickets, position FROM order_status `

func (*orderStatus) table() string { return "order_status" }

func (m *orderStatus) page(ctx context.Context, after string, limit int) ([]row, error) {
	return m.rows(ctx, selectOrders+`WHERE order_id > $1 ORDER BY order_id LIMIT $2`, after, limit)
}

func (m *orderStatus) again(ctx context.Context, keys []string) ([]row, error) {
	return m.rows(ctx, selectOrders+`WHERE order_id = ANY($1::text[])`, eventstore.TextArray(keys))
}

func (m *orderStatus) rows(ctx context.Context, query string, args ...any) ([]row, error) {
	return selectRows(ctx, m.db, query, args, func(scan func(...any) error) (row, error) {
		var r row
		var c orderCells
		err := scan(&r.key, &r.version, &c.Status, &c.Reason, &c.ShowID, &c.Lines, &c.Total, &c.Currency, &c.PlacedAt, &c.ExpiresAt,
			&c.CustomerRef, &c.PlacedPosition, &c.Payment, &c.RefundStatus, &c.RefundAmount, &c.Refunds, &c.Tickets, &c.Position)
		c.Lines, c.Payment = parsed(c.Lines, linesCell), parsed(c.Payment, paymentSummary.cell)
		c.Refunds, c.Tickets = parsed(c.Refunds, refundsCell), parsed(c.Tickets, ticketsCell)
		r.stream, r.cells = orderPrefix+r.key, c
		return r, err
	})
}

func (*orderStatus) fold(f *fold, key string) (row, bool) {
	place, o := f.orders.find(key)
	if o == nil || o.version == 0 {
		return row{}, false
	}
	o.flags |= rowSeen
	return row{key: key, stream: orderPrefix + key, version: int64(o.version), sum: f.orderSum(place, o)}, true
}

func (*orderStatus) unseen(f *fold, fn func(string)) {
	for place := range uint32(f.orders.count()) {
		if o := f.orders.at(place); o.flags&rowSeen == 0 && o.version > 0 {
			fn(f.orders.id(place))
		}
	}
}

// rowsOf is how many rows a table must have, where these are many.
func (f *fold) rowsOf(table string) int64 {
	if table == "order_status" {
		return int64(f.orders.count())
	}
	return 0
}
