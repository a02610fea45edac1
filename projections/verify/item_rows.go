package verify

import (
	"context"
	"strings"

	"github.com/jmoiron/sqlx"

	"boxoffice/eventstore"
)

// openItems is the table of what operators look at. Its rows take the version of the last event that
// spoke of the item.
type openItems struct{ db sqlx.QueryerContext }

type itemCells struct {
	Kind       cell `db:"kind"`
	PaymentID  cell `db:"payment_id"`
	OrderID    cell `db:"order_id"`
	Amount     cell `db:"amount"`
	Currency   cell `db:"currency"`
	At         cell `db:"at"`
	Detail     cell `db:"detail"`
	Resolved   cell `db:"resolved"`
	ResolvedAt cell `db:"resolved_at"`
	Reason     cell `db:"reason"`
	Opened     cell `db:"opened"`
}

const selectItems = `SELECT id, version, kind, payment_id, order_id, amount, currency, at, detail, resolved, resolved_at, reason,
	opened FROM open_items `

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
		err := scan(&r.key, &r.version, &c.Kind, &c.PaymentID, &c.OrderID, &c.Amount, &c.Currency, &c.At, &c.Detail, &c.Resolved,
			&c.ResolvedAt, &c.Reason, &c.Opened)
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
	return row{key: key, stream: it.stream, version: it.version, cells: itemCells{
		Kind: cell(it.kind), PaymentID: cell(it.paymentID), OrderID: cell(it.orderID), Amount: number(it.amount.Amount),
		Currency: cell(it.amount.Currency), At: instant(it.at), Detail: cell(it.detail), Resolved: flag(it.resolved),
		ResolvedAt: instantOrNull(it.resolvedAt), Reason: cell(it.reason), Opened: number(it.opened),
	}}, true
}

func (*openItems) unseen(f *fold, fn func(string)) {
	for id, it := range f.items {
		if !it.seen {
			fn(id)
		}
	}
}
