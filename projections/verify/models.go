package verify

import (
	"context"
	"math"
	"strconv"
	"strings"

	"github.com/jmoiron/sqlx"
)

// readModels are the tables that are compared with the log, every column of them.
func readModels(db sqlx.QueryerContext) []model {
	return []model{&availability{db}, &shows{db}, &ticketTypes{db}, &orderStatus{db}, &openItems{db}, &salesByDay{db}}
}

// typeKey is the key of a row per ticket type: show/type.
func typeKey(show, ticketType int64) string {
	return strconv.FormatInt(show, 10) + "/" + strconv.FormatInt(ticketType, 10)
}

// splitKey reads a typeKey, or a show's alone; "" is before all.
func splitKey(key string) (show, ticketType int64) {
	if key == "" {
		return math.MinInt64, math.MinInt64
	}
	a, b, _ := strings.Cut(key, "/")
	show, _ = strconv.ParseInt(a, 10, 64)
	ticketType, _ = strconv.ParseInt(b, 10, 64)
	return show, ticketType
}

func showStream(id int64) string { return showPrefix + strconv.FormatInt(id, 10) }

// selectRows runs a query and makes rows of what it gives.
func selectRows(ctx context.Context, db sqlx.QueryerContext, query string, args []any, read func(scan func(...any) error) (row, error)) (_ []row, err error) {
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
