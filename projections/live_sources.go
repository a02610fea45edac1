package projections

import (
	"context"
	"fmt"
	"strconv"
	"sync"

	"github.com/jmoiron/sqlx"

	"boxoffice/eventstore"
	"boxoffice/internal/httpapi"
	"boxoffice/internal/views"
)

// liveOrder is an order for those who watch it. Each form is encoded once for all of them.
type liveOrder struct {
	row      Row[OrderState]
	whole    func() ([]byte, error) // the event for its buyer and operators
	stranger func() ([]byte, error) // the event for everybody else
}

// orderSource looks at orders.
func (q *Queries) orderSource() source[liveOrder] {
	return source[liveOrder]{
		versions: func(ctx context.Context, keys []string) (map[string]int64, error) {
			return rowVersions(ctx, q.db, `SELECT order_id AS key, version FROM order_status WHERE order_id = ANY($1::text[])`,
				eventstore.TextArray(keys))
		},
		load: func(ctx context.Context, keys []string) (map[string]seen[liveOrder], error) {
			byKey, err := loadOrders(ctx, q.db, keys)
			if err != nil {
				return nil, err
			}
			rows := make([]Row[OrderState], 0, len(byKey))
			for _, row := range byKey {
				rows = append(rows, row)
			}
			orders, err := q.orderViews(ctx, rows)
			if err != nil {
				return nil, err
			}
			live := make(map[string]seen[liveOrder], len(rows))
			for i, row := range rows {
				live[row.Key] = seen[liveOrder]{row.Version, liveOrder{
					row:      row,
					whole:    liveEvent("order", row.Version, orders[i]),
					stranger: liveEvent("order", row.Version, orders[i].ForStranger()),
				}}
			}
			return live, nil
		},
	}
}

// liveShow is a show for those who watch what is left of it.
type liveShow struct {
	availability func() ([]byte, error)
}

// showSource looks at shows.
func (q *Queries) showSource() source[liveShow] {
	return source[liveShow]{
		versions: func(ctx context.Context, keys []string) (map[string]int64, error) {
			return rowVersions(ctx, q.db, `SELECT show_id::text AS key, version FROM shows WHERE show_id = ANY($1::text[]::bigint[])`,
				eventstore.TextArray(keys))
		},
		load: func(ctx context.Context, keys []string) (map[string]seen[liveShow], error) {
			rows, err := loadShows(ctx, q.db, keys)
			if err != nil {
				return nil, err
			}
			live := make(map[string]seen[liveShow], len(rows))
			for key, row := range rows {
				live[key] = seen[liveShow]{row.Version, liveShow{
					availability: liveEvent("availability", row.Version, views.NewAvailability(row.State.Facts(row.Version), row.State.At)),
				}}
			}
			return live, nil
		},
	}
}

// headKey is the one row of headSource.
const headKey = "head"

// headSource looks at the head of the log: its version is its position.
func (q *Queries) headSource() source[struct{}] {
	position := func(ctx context.Context) (int64, error) {
		head, err := q.store.Head(ctx)
		return head.Position, err
	}
	return source[struct{}]{
		versions: func(ctx context.Context, _ []string) (map[string]int64, error) {
			at, err := position(ctx)
			return map[string]int64{headKey: at}, err
		},
		load: func(ctx context.Context, _ []string) (map[string]seen[struct{}], error) {
			at, err := position(ctx)
			return map[string]seen[struct{}]{headKey: {version: at}}, err
		},
	}
}

// liveEvent encodes an event when it is first asked for.
func liveEvent(name string, version int64, v any) func() ([]byte, error) {
	return sync.OnceValues(func() ([]byte, error) {
		return httpapi.EncodeEvent(name, strconv.FormatInt(version, 10), v)
	})
}

// rowVersions reads versions with a query for key and version.
func rowVersions(ctx context.Context, db sqlx.QueryerContext, query string, args ...any) (map[string]int64, error) {
	var rows []struct {
		Key     string `db:"key"`
		Version int64  `db:"version"`
	}
	if err := sqlx.SelectContext(ctx, db, &rows, query, args...); err != nil {
		return nil, fmt.Errorf("look at versions: %w", err)
	}
	versions := make(map[string]int64, len(rows))
	for _, row := range rows {
		versions[row.Key] = row.Version
	}
	return versions, nil
}
