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
		OrderID: r.OrderID, Status: r.Status, Reason: r.Reason, ShowID: r.ShowID,
		Total:    domain.Money{Amount: r.Total, Currency: r.Currency},
		PlacedAt: r.PlacedAt.UTC(), ExpiresAt: r.ExpiresAt.UTC(),
		Lines: r.Lines, Payment: r.Payment, Tickets: r.Tickets,
		CustomerRef: r.CustomerRef, PlacedPosition: r.PlacedPosition,
	}
	if err := json.Unmarshal(r.Refunds, &s.Refunds); err != nil {
		return Row[OrderState]{}, fmt.Errorf("row of order %s: %w", r.OrderID, err)
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

// orderTable describes order_status.
func orderTable() table[Row[OrderState]] {
	type row = Row[OrderState]
	return table[row]{name: "order_status", key: []string{"order_id"}, columns: []column[row]{
		text("order_id", func(r *row) string { return r.Key }),
		text("status", func(r *row) string { return string(r.State.Status) }),
		text("reason", func(r *row) string { return string(r.State.Reason) }),
		number("show_id", func(r *row) int64 { return r.State.ShowID }),
		verbatim("lines", func(r *row) rawJSON { return r.State.Lines }),
		number("total", func(r *row) int64 { return r.State.Total.Amount }),
		text("currency", func(r *row) string { return r.State.Total.Currency }),
		instant("placed_at", func(r *row) time.Time { return r.State.PlacedAt }),
		instant("expires_at", func(r *row) time.Time { return r.State.ExpiresAt }),
		number("version", func(r *row) int64 { return r.Version }),
		text("customer_ref", func(r *row) string { return r.State.CustomerRef }),
		number("placed_position", func(r *row) int64 { return r.State.PlacedPosition }),
		verbatim("payment", func(r *row) rawJSON { return r.State.Payment }),
		text("refund_status", func(r *row) string { return string(views.SumRefunds(r.State.Refunds).Status) }),
		number("refund_amount", func(r *row) int64 { return views.SumRefunds(r.State.Refunds).Amount }),
		encoded("refunds", func(r *row) any { return r.State.Refunds }),
		verbatim("tickets", func(r *row) rawJSON { return r.State.Tickets }),
		number("position", func(r *row) int64 { return r.Position }),
	}}
}
