package projections

import (
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"boxoffice/domain"
	"boxoffice/internal/httpapi"
	"boxoffice/internal/views"
)

// before is where a list that shows the newest first goes on: with what is older than a position.
type before struct {
	Position int64 `json:"before"`
}

// orderPage is a page of orders.
type orderPage struct {
	Orders []views.Order `json:"orders"`
	Next   string        `json:"next,omitzero"` // the cursor of the next page; left out: this is the last
}

// listOrders answers GET /orders, the newest first. A page goes on by the position of OrderPlaced, which never
// changes, so orders that come meanwhile are neither repeated nor do they push others out.
func (q *Queries) listOrders(w http.ResponseWriter, r *http.Request) error {
	params, err := query(r, "customer", "status", "show", "limit", "cursor")
	if err != nil {
		return err
	}
	limit, err := httpapi.ParseLimit(params)
	if err != nil {
		return err
	}
	where, args, err := q.orderFilter(params)
	if err != nil {
		return err
	}
	rows, err := selectOrders(r.Context(), q.db, fmt.Sprintf(`SELECT %s FROM order_status WHERE %s
		ORDER BY placed_position DESC LIMIT $%d`, orderColumns, where, len(args)+1), append(args, int64(limit)+1)...)
	if err != nil {
		return fmt.Errorf("list orders: %w", err)
	}
	page := orderPage{}
	if len(rows) > limit {
		rows = rows[:limit]
		if page.Next, err = httpapi.EncodeCursor(before{rows[limit-1].State.PlacedPosition}); err != nil {
			return err
		}
	}
	if page.Orders, err = q.orderViews(r.Context(), rows); err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	return httpapi.JSON(w, http.StatusOK, page)
}

// orderFilter turns the parameters of a list of orders into a condition and its arguments.
func (q *Queries) orderFilter(params url.Values) (where string, args []any, err error) {
	from := before{math.MaxInt64}
	if _, err := httpapi.ParseCursor(params, &from); err != nil {
		return "", nil, err
	}
	conditions := []string{"placed_position < $1"}
	args = []any{from.Position}
	add := func(column string, value any) {
		args = append(args, value)
		conditions = append(conditions, fmt.Sprintf("%s = $%d", column, len(args)))
	}
	show, sent, err := httpapi.QueryInt(params, "show")
	if err != nil {
		return "", nil, err
	}
	if sent {
		add("show_id", show)
	}
	status, sent, err := single(params, "status")
	if err != nil {
		return "", nil, err
	}
	if sent {
		all := []domain.OrderStatus{domain.Pending, domain.Confirmed, domain.Completed, domain.Canceled}
		if !slices.Contains(all, domain.OrderStatus(status)) {
			return "", nil, badParameter("status", "must be PENDING, CONFIRMED, COMPLETED or CANCELED")
		}
		add("status", status)
	}
	customer, sent, err := single(params, "customer")
	if err != nil {
		return "", nil, err
	}
	if sent {
		add("customer_ref", q.customerRef(customer))
	}
	return strings.Join(conditions, " AND "), args, nil
}

// single is a parameter that may be sent once; an empty one counts as not sent.
func single(params url.Values, name string) (text string, sent bool, err error) {
	values := params[name]
	switch {
	case len(values) > 1:
		return "", false, badParameter(name, "is there twice")
	case len(values) == 0 || values[0] == "":
		return "", false, nil
	default:
		return values[0], true, nil
	}
}

func badParameter(name, detail string) error {
	return httpapi.Invalid(httpapi.FieldError{Parameter: name, Detail: detail})
}
