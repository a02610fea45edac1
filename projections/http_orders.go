package projections

import (
	"fmt"
	"hash/fnv"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"boxoffice/domain"
	"boxoffice/internal/httpapi"
	"boxoffice/internal/views"
)

// before is where a list that shows the newest first goes on: with what is older than a position, under the same filter.
type before struct {
	Position int64  `json:"before"`
	Filter   string `json:"of"`
}

// goOn reads the cursor of a list with a filter. One of another filter would skip or repeat rows.
func goOn(params url.Values, filter string) (before, error) {
	var from before
	sent, err := httpapi.ParseCursor(params, &from)
	switch {
	case err != nil:
		return from, err
	case !sent:
		return before{math.MaxInt64, filter}, nil
	case from.Filter != filter:
		return from, badParameter("cursor", "belongs to a list with another filter")
	}
	return from, nil
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
	from, err := goOn(params, filterOf(where, args))
	if err != nil {
		return err
	}
	args[0] = from.Position
	rows, err := selectOrders(r.Context(), q.db, fmt.Sprintf(`SELECT %s FROM order_status WHERE %s
		ORDER BY placed_position DESC LIMIT $%d`, orderColumns, where, len(args)+1), append(args, int64(limit)+1)...)
	if err != nil {
		return fmt.Errorf("list orders: %w", err)
	}
	page := orderPage{}
	if len(rows) > limit {
		rows = rows[:limit]
		if page.Next, err = httpapi.EncodeCursor(before{rows[limit-1].State.PlacedPosition, from.Filter}); err != nil {
			return err
		}
	}
	if page.Orders, err = q.orderViews(r.Context(), rows); err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	return httpapi.JSON(w, http.StatusOK, page)
}

// filterOf is a short name for a condition and its arguments.
func filterOf(where string, args []any) string {
	hash := fnv.New32a()
	fmt.Fprint(hash, where, args)
	return strconv.FormatUint(uint64(hash.Sum32()), 36)
}

// orderFilter turns the parameters of a list of orders into a condition and its arguments. The first is the position
// before which the list goes on; the caller knows it.
func (q *Queries) orderFilter(params url.Values) (where string, args []any, err error) {
	conditions := []string{"placed_position < $1"}
	args = []any{int64(math.MaxInt64)}
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
	if values, named := params["customer"]; named && values[0] == "" {
		return "", nil, badParameter("customer", "must not be empty") // it would list everybody's orders
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
