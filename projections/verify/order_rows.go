package verify

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/jmoiron/sqlx"

	"boxoffice/eventstore"
)

// orderStatus is the table of orders.
type orderStatus struct{ db *sqlx.DB }

// orderCells are the cells of a row of order_status. Lines stand for all ticket types and quantities.
type orderCells struct {
	Status, Reason string
	Show           int64
	Lines          digest
	Quantity       int64
	Total          money
	Tickets        int
	Attempt        int
	Payment        string
	Refunds        string
	PlacedAt       int64 // position
}

const selectOrders = `SELECT order_id, version, status, reason, show_id, lines, total, currency, tickets, payment, refunds,
	placed_position FROM order_status `

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
		var lines, tickets, payment, refunds []byte
		err := scan(&r.key, &r.version, &c.Status, &c.Reason, &c.Show, &lines, &c.Total.Amount, &c.Total.Currency,
			&tickets, &payment, &refunds, &c.PlacedAt)
		if err != nil {
			return row{}, err
		}
		var l []line
		var t []ticket
		var p paymentSummary
		var parts []refundPart
		for _, column := range []struct {
			data []byte
			into any
		}{{lines, &l}, {tickets, &t}, {payment, &p}, {refunds, &parts}} {
			if err := json.Unmarshal(column.data, column.into); err != nil {
				return row{}, fmt.Errorf("row of %s: %w", r.key, err)
			}
		}
		c.Lines, c.Quantity = linesOf(l)
		c.Tickets, c.Attempt, c.Payment, c.Refunds = len(t), p.Attempt, p.Status, refundText(parts)
		r.stream, r.cells = orderPrefix+r.key, c
		return r, nil
	})
}

func (*orderStatus) fold(f *fold, key string) (row, bool) {
	place, o := f.orders.find(key)
	if o == nil || o.version == 0 {
		return row{}, false
	}
	o.flags |= rowSeen
	return row{key: key, stream: orderPrefix + key, version: int64(o.version), cells: orderCells{
		Status: o.status.String(), Reason: reasons()[o.reason], Show: o.show, Lines: o.lines, Quantity: int64(o.quantity),
		Total: money{o.total, f.currencies[o.currency]}, Tickets: int(o.tickets),
		Attempt: int(o.attempt), Payment: paymentStatuses()[o.payStatus],
		Refunds: refundText(f.orderRefunds[place]), PlacedAt: o.placed,
	}}, true
}

func (*orderStatus) unseen(f *fold, fn func(string)) {
	for place := range uint32(f.orders.count()) {
		if o := f.orders.at(place); o.flags&rowSeen == 0 && o.version > 0 {
			fn(f.orders.id(place))
		}
	}
}

// refundText tells an order's refunds in one comparable word.
func refundText(parts []refundPart) string {
	words := make([]string, len(parts))
	for i, p := range parts {
		words[i] = fmt.Sprintf("%s %s %d", p.RefundID, p.Status, p.Amount)
	}
	slices.Sort(words)
	return strings.Join(words, ", ")
}

// selectRows runs a query and makes rows of what it gives.
func selectRows(ctx context.Context, db *sqlx.DB, query string, args []any, read func(scan func(...any) error) (row, error)) (_ []row, err error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() {
		if closing := rows.Close(); err == nil {
			err = closing
		}
	}()
	var out []row
	for rows.Next() {
		r, err := read(rows.Scan)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, rows.Err()
}
