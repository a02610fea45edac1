package projections

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"boxoffice/domain"
	"boxoffice/eventstore"
	"boxoffice/internal/views"
)

const orderColumns = `order_id, status, reason, show_id, lines, total, currency, placed_at, expires_at, version,
	customer_ref, placed_position, payment, refunds, tickets, position`

const loadOrdersSQL = `SELECT ` + orderColumns + ` FROM order_status WHERE order_id = ANY($1::text[])`

const saveOrdersSQL = `INSERT INTO order_status AS t (order_id, status, reason, show_id, lines, total, currency, placed_at,
	expires_at, version, customer_ref, placed_position, payment, refund_status, refund_amount, refunds, tickets, position)
SELECT u.order_id, u.status, u.reason, u.show_id, u.lines, u.total, u.currency, u.placed_at, u.expires_at, u.version,
	u.customer_ref, u.placed_position, u.payment, u.refund_status, u.refund_amount, u.refunds, u.tickets, u.position
FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::json[], $6::bigint[], $7::text[],
	$8::timestamptz[], $9::timestamptz[], $10::bigint[], $11::text[], $12::bigint[], $13::json[], $14::text[],
	$15::bigint[], $16::json[], $17::json[], $18::bigint[])
	AS u (order_id, status, reason, show_id, lines, total, currency, placed_at,
	expires_at, version, customer_ref, placed_position, payment, refund_status, refund_amount, refunds, tickets, position)
ON CONFLICT (order_id) DO UPDATE SET status = excluded.status, reason = excluded.reason, show_id = excluded.show_id,
	lines = excluded.lines, total = excluded.total, currency = excluded.currency, placed_at = excluded.placed_at,
	expires_at = excluded.expires_at, version = excluded.version, customer_ref = excluded.customer_ref,
	placed_position = excluded.placed_position, payment = excluded.payment, refund_status = excluded.refund_status,
	refund_amount = excluded.refund_amount, refunds = excluded.refunds, tickets = excluded.tickets,
	position = excluded.position
WHERE excluded.version > t.version`

// orderRecord is a row of order_status as it is read.
type orderRecord struct {
	OrderID        string              `db:"order_id"`
	Status         domain.OrderStatus  `db:"status"`
	Reason         domain.CancelReason `db:"reason"`
	ShowID         int64               `db:"show_id"`
	Lines          []byte              `db:"lines"`
	Total          int64               `db:"total"`
	Currency       string              `db:"currency"`
	PlacedAt       time.Time           `db:"placed_at"`
	ExpiresAt      time.Time           `db:"expires_at"`
	Version        int64               `db:"version"`
	CustomerRef    string              `db:"customer_ref"`
	PlacedPosition int64               `db:"placed_position"`
	Payment        []byte              `db:"payment"`
	Refunds        []byte              `db:"refunds"`
	Tickets        []byte              `db:"tickets"`
	Position       int64               `db:"position"`
}

func (r orderRecord) row() (Row[OrderState], error) {
	s := OrderState{
		OrderFacts: views.OrderFacts{
			OrderID: r.OrderID, Status: r.Status, Reason: r.Reason, ShowID: r.ShowID,
			Total:    domain.Money{Amount: r.Total, Currency: r.Currency},
			PlacedAt: r.PlacedAt.UTC(), ExpiresAt: r.ExpiresAt.UTC(),
		},
		CustomerRef: r.CustomerRef, PlacedPosition: r.PlacedPosition,
	}
	for _, part := range []struct {
		data []byte
		into any
	}{{r.Lines, &s.Lines}, {r.Payment, &s.Payment}, {r.Refunds, &s.Refunds}, {r.Tickets, &s.Tickets}} {
		if err := json.Unmarshal(part.data, part.into); err != nil {
			return Row[OrderState]{}, fmt.Errorf("row of order %s: %w", r.OrderID, err)
		}
	}
	return Row[OrderState]{Key: r.OrderID, Version: r.Version, Position: r.Position, State: s}, nil
}

func loadOrders(ctx context.Context, db sqlx.QueryerContext, keys []string) (map[string]Row[OrderState], error) {
	rows, err := selectOrders(ctx, db, loadOrdersSQL, eventstore.TextArray(keys))
	if err != nil {
		return nil, err
	}
	byKey := make(map[string]Row[OrderState], len(rows))
	for _, row := range rows {
		byKey[row.Key] = row
	}
	return byKey, nil
}

// selectOrders reads rows of order_status with a query for orderColumns.
func selectOrders(ctx context.Context, db sqlx.QueryerContext, query string, args ...any) ([]Row[OrderState], error) {
	var records []orderRecord
	if err := sqlx.SelectContext(ctx, db, &records, query, args...); err != nil {
		return nil, err
	}
	rows := make([]Row[OrderState], 0, len(records))
	for _, record := range records {
		row, err := record.row()
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}

func saveOrders(ctx context.Context, tx *sqlx.Tx, rows []Row[OrderState]) error {
	type row = Row[OrderState]
	c := columns[row]{rows: rows}
	args := []any{
		c.text(func(r *row) string { return r.Key }),
		c.text(func(r *row) string { return string(r.State.Status) }),
		c.text(func(r *row) string { return string(r.State.Reason) }),
		c.number(func(r *row) int64 { return r.State.ShowID }),
		c.json(func(r *row) any { return r.State.Lines }),
		c.number(func(r *row) int64 { return r.State.Total.Amount }),
		c.text(func(r *row) string { return r.State.Total.Currency }),
		c.time(func(r *row) time.Time { return r.State.PlacedAt }),
		c.time(func(r *row) time.Time { return r.State.ExpiresAt }),
		c.number(func(r *row) int64 { return r.Version }),
		c.text(func(r *row) string { return r.State.CustomerRef }),
		c.number(func(r *row) int64 { return r.State.PlacedPosition }),
		c.json(func(r *row) any { return r.State.Payment }),
		c.text(func(r *row) string { return string(views.SumRefunds(r.State.Refunds).Status) }),
		c.number(func(r *row) int64 { return views.SumRefunds(r.State.Refunds).Amount }),
		c.json(func(r *row) any { return r.State.Refunds }),
		c.json(func(r *row) any { return r.State.Tickets }),
		c.number(func(r *row) int64 { return r.Position }),
	}
	if c.err != nil {
		return c.err
	}
	_, err := tx.ExecContext(ctx, saveOrdersSQL, args...)
	return err
}
