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

const saveItemsSQL = `INSERT INTO open_items AS t (id, kind, payment_id, order_id, amount, currency, at, detail, resolved,
	resolved_at, reason, opened, version)
SELECT u.id, u.kind, u.payment_id, u.order_id, u.amount, u.currency, u.at, u.detail, u.resolved = 1,
	NULLIF(u.resolved_at, '0001-01-01T00:00:00Z'), u.reason, u.opened, u.version
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::timestamptz[], $8::text[],
	$9::bigint[], $10::timestamptz[], $11::text[], $12::bigint[], $13::bigint[])
	AS u (id, kind, payment_id, order_id, amount, currency, at, detail, resolved, resolved_at, reason, opened, version)
ON CONFLICT (id) DO UPDATE SET kind = excluded.kind, payment_id = excluded.payment_id, order_id = excluded.order_id,
	amount = excluded.amount, currency = excluded.currency, at = excluded.at, detail = excluded.detail,
	resolved = excluded.resolved, resolved_at = excluded.resolved_at, reason = excluded.reason, opened = excluded.opened,
	version = excluded.version
WHERE excluded.version > t.version`

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

func saveItems(ctx context.Context, tx *sqlx.Tx, rows []Row[ItemState]) error {
	type row = Row[ItemState]
	c := columns[row]{rows: rows}
	_, err := tx.ExecContext(ctx, saveItemsSQL,
		c.text(func(r *row) string { return r.Key }),
		c.text(func(r *row) string { return string(r.State.Kind) }),
		c.text(func(r *row) string { return r.State.PaymentID }),
		c.text(func(r *row) string { return r.State.OrderID }),
		c.number(func(r *row) int64 { return r.State.Amount }),
		c.text(func(r *row) string { return r.State.Currency }),
		c.time(func(r *row) time.Time { return r.State.At }),
		c.text(func(r *row) string { return r.State.Detail }),
		c.flag(func(r *row) bool { return r.State.Resolved }),
		c.time(func(r *row) time.Time { return r.State.ResolvedAt }),
		c.text(func(r *row) string { return r.State.Reason }),
		c.number(func(r *row) int64 { return r.State.Opened }),
		c.number(func(r *row) int64 { return r.Version }))
	return err
}
