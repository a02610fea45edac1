package projections

import (
	"context"
	"fmt"

	"boxoffice/internal/httpapi"
	"boxoffice/internal/views"
)

const countCanceled = `SELECT count(*) FILTER (WHERE status <> 'COMPLETED'), count(*) FILTER (WHERE status = 'COMPLETED'),
	coalesce(sum(l.tickets) FILTER (WHERE status <> 'COMPLETED'), 0)::bigint,
	coalesce(sum(l.tickets) FILTER (WHERE status = 'COMPLETED'), 0)::bigint,
	coalesce(sum(total) FILTER (WHERE status = 'COMPLETED'), 0)::bigint
FROM order_status
CROSS JOIN LATERAL (SELECT sum((line ->> 'quantity')::bigint) AS tickets FROM json_array_elements(lines) AS line) AS l
WHERE show_id = $1 AND status IN ('PENDING', 'CONFIRMED', 'COMPLETED')`

// Cancellation is what canceling a show would do, or has still to do, as the read models have it. Orders, tickets
// and money are counted from the same orders, so they agree with each other; the show's version is of a row of
// its own, which for a moment may be ahead of them or behind. Errors: *httpapi.Problem for a show that is not there.
func (q *Queries) Cancellation(ctx context.Context, showID int64) (views.Cancellation, error) {
	row, err := q.show(ctx, showID)
	if err == nil && row.Version == 0 {
		err = httpapi.NotFound("show")
	}
	if err != nil {
		return views.Cancellation{}, err
	}
	c := views.Cancellation{DryRun: true, ShowID: showID, Version: row.Version, AsOf: row.State.At.UTC()}
	c.Refund.Currency = row.State.Currency
	err = q.db.QueryRowContext(ctx, countCanceled, showID).Scan(&c.Orders.Open, &c.Orders.Completed,
		&c.Tickets.Held, &c.Tickets.Sold, &c.Refund.Amount)
	if err != nil {
		return views.Cancellation{}, fmt.Errorf("count the orders of show %d: %w", showID, err)
	}
	return c, nil
}
