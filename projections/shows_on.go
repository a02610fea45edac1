package projections

import (
	"context"
	"fmt"

	"boxoffice/internal/views"
)

// ShowsOn are the shows that have not begun and are not canceled, the soonest first, at most limit.
func (q *Queries) ShowsOn(ctx context.Context, limit int) ([]views.Show, error) {
	now := q.store.Now()
	rows, err := selectShows(ctx, q.db, selectShowsSQL+`WHERE s.show_id IN
		(SELECT show_id FROM shows WHERE starts_at > $1 AND NOT canceled ORDER BY starts_at, show_id LIMIT $2)
		ORDER BY s.starts_at, s.show_id, t.ticket_type_id`, now, int64(limit))
	if err != nil {
		return nil, fmt.Errorf("list what is on: %w", err)
	}
	shows := make([]views.Show, 0, len(rows))
	for _, row := range rows {
		shows = append(shows, views.NewShow(row.State.Facts(row.Version), now))
	}
	return shows, nil
}
