package projections

import (
	"context"
	"time"

	"github.com/jmoiron/sqlx"

	"boxoffice/eventstore"
	"boxoffice/internal/views"
)

// selectItemsSQL goes on with a WHERE clause.
const selectItemsSQL = `SELECT id, kind, payment_id, order_id, amount, currency, at, detail, resolved, resolved_at, reason,
	opened, version FROM open_items `

const loadItemsSQL = selectItemsSQL + `WHERE id = ANY($1::text[])`

// itemRecord is a row of open_items as it is read.
type itemRecord struct {
	ID         string             `db:"id"`
	Kind       views.OpenItemKind `db:"kind"`
	PaymentID  string             `db:"payment_id"`
	OrderID    string             `db:"order_id"`
	Amount     int64              `db:"amount"`
	Currency   string             `db:"currency"`
	At         time.Time          `db:"at"`
	Detail     string             `db:"detail"`
	Resolved   bool               `db:"resolved"`
	ResolvedAt *time.Time         `db:"resolved_at"`
	Reason     string             `db:"reason"`
	Opened     int64              `db:"opened"`
	Version    int64              `db:"version"`
}

func (r itemRecord) row() Row[ItemState] {
	return Row[ItemState]{Key: r.ID, Version: r.Version, Position: r.Opened, State: ItemState{
		OpenItem: views.OpenItem{
			ID: r.ID, Kind: r.Kind, PaymentID: r.PaymentID, OrderID: r.OrderID, Amount: r.Amount, Currency: r.Currency,
			At: r.At.UTC(), Detail: r.Detail, Resolved: r.Resolved, ResolvedAt: value(r.ResolvedAt).UTC(), Reason: r.Reason,
		},
		Opened: r.Opened,
	}}
}

func loadItems(ctx context.Context, db sqlx.QueryerContext, keys []string) (map[string]Row[ItemState], error) {
	var records []itemRecord
	if err := sqlx.SelectContext(ctx, db, &records, loadItemsSQL, eventstore.TextArray(keys)); err != nil {
		return nil, err
	}
	byKey := make(map[string]Row[ItemState], len(records))
	for _, record := range records {
		byKey[record.ID] = record.row()
	}
	return byKey, nil
}

// itemTable describes open_items.
func itemTable() table[Row[ItemState]] {
	type row = Row[ItemState]
	return table[row]{name: "open_items", key: []string{"id"}, columns: []column[row]{
		text("id", func(r *row) string { return r.Key }),
		text("kind", func(r *row) string { return string(r.State.Kind) }),
		text("payment_id", func(r *row) string { return r.State.PaymentID }),
		text("order_id", func(r *row) string { return r.State.OrderID }),
		number("amount", func(r *row) int64 { return r.State.Amount }),
		text("currency", func(r *row) string { return r.State.Currency }),
		instant("at", func(r *row) time.Time { return r.State.At }),
		text("detail", func(r *row) string { return r.State.Detail }),
		flag("resolved", func(r *row) bool { return r.State.Resolved }),
		maybe("resolved_at", func(r *row) time.Time { return r.State.ResolvedAt }),
		text("reason", func(r *row) string { return r.State.Reason }),
		number("opened", func(r *row) int64 { return r.State.Opened }),
		number("version", func(r *row) int64 { return r.Version }),
	}}
}
