package projections

import (
	"context"
	"fmt"

	"boxoffice/internal/httpapi"
	"boxoffice/internal/views"
)

// Cancellation is what canceling a show would do, or has still to do, as the read models have it. Show and
// orders are rows of their own, so for a moment one may be ahead of the others. Errors: *httpapi.Problem for a
// show that is not there.
func (q *Queries) Cancellation(ctx context.Context, showID int64) (views.Cancellation, error) {
	row, err := q.show(ctx, showID)
	if err == nil && row.Version == 0 {
		err = httpapi.NotFound("show")
	}
	if err != nil {
		return views.Cancellation{}, err
	}
	c := views.Cancellation{DryRun: true, ShowID: showID, Version: row.Version, AsOf: row.State.At.UTC()}
	for _, t := range row.State.Totals {
		c.Tickets.Held += t.Held
		c.Tickets.Sold += t.Sold
	}
	c.Refund.Currency = row.State.Currency
	err = q.db.QueryRowContext(ctx, `SELECT count(*) FILTER (WHERE status IN ('PENDING', 'CONFIRMED')),
			count(*) FILTER (WHERE status = 'COMPLETED'), coalesce(sum(total) FILTER (WHERE status = 'COMPLETED'), 0)::bigint
		FROM order_status WHERE show_id = $1`, showID).Scan(&c.Orders.Open, &c.Orders.Completed, &c.Refund.Amount)
	if err != nil {
		return views.Cancellation{}, fmt.Errorf("count the orders of show %d: %w", showID, err)
	}
	return c, nil
}
