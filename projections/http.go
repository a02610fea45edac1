package projections

import (
	"cmp"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"

	"boxoffice/domain"
	"boxoffice/eventstore"
	"boxoffice/internal/httpapi"
)

// Queries answers what is asked about shows, orders and open items: from the read models as they are now,
// from the log as things were.
type Queries struct {
	db          *sqlx.DB
	store       *eventstore.Store
	secrets     *httpapi.Secrets
	customerRef func(customerID string) string
	orders      *feed[liveOrder]
	shows       *feed[liveShow]
	head        *feed[struct{}]
	waiters     places        // of reads that wait
	streams     places        // of live reads
	refunds     refundCounts  // of canceled shows
	heartbeat   time.Duration // between the comments of a quiet stream
}

// QueryConfig is what Queries needs.
type QueryConfig struct {
	DB          *sqlx.DB
	Store       *eventstore.Store
	Secrets     *httpapi.Secrets
	CustomerRef func(customerID string) string // as the log has it, to find a customer's orders
	Log         *slog.Logger                   // nil: says nothing
}

// NewQueries makes Queries. It does no I/O.
func NewQueries(c QueryConfig) *Queries {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	q := &Queries{
		db: c.DB, store: c.Store, secrets: c.Secrets, customerRef: c.CustomerRef,
		waiters: make(places, maxWaiters), streams: make(places, maxStreams), heartbeat: httpapi.HeartbeatEvery,
	}
	q.orders = newFeed(q.orderSource(), c.Log)
	q.shows = newFeed(q.showSource(), c.Log)
	q.head = newFeed(q.headSource(), c.Log)
	return q
}

// Routes are the queries of the outside contract.
func (q *Queries) Routes() []httpapi.Route {
	get := func(path string, who httpapi.Who, handle func(http.ResponseWriter, *http.Request) error) httpapi.Route {
		return httpapi.Route{Method: http.MethodGet, Path: path, Who: who, Handle: known(handle)}
	}
	live := func(path string, who httpapi.Who, handle func(http.ResponseWriter, *http.Request) error) httpapi.Route {
		route := get(path, who, handle)
		route.Stream = true
		return route
	}
	return []httpapi.Route{
		get("/orders", httpapi.AnyOperator(), q.listOrders),
		get("/orders/{id}", httpapi.Buyer, q.getOrder),
		get("/orders/{id}/history", httpapi.Buyer, q.getHistory),
		live("/orders/{id}/events", httpapi.Buyer, q.orderEvents),
		get("/shows", httpapi.Anyone, q.listShows),
		get("/shows/{id}", httpapi.Anyone, q.getShow),
		get("/shows/{id}/availability", httpapi.Anyone, q.getAvailability),
		live("/shows/{id}/availability/events", httpapi.Anyone, q.availabilityEvents),
		get("/open-items", httpapi.AnyOperator(), q.listOpenItems),
	}
}

// orderTokenHeader carries the buyer's secret for an order.
const orderTokenHeader = "Order-Token"

// mayRead reports whether the caller may see all of an order.
func (q *Queries) mayRead(r *http.Request, orderID string) bool {
	if _, ok := httpapi.OperatorFrom(r.Context()); ok {
		return true
	}
	return q.secrets.CheckOrderToken(orderID, r.Header.Get(orderTokenHeader))
}

// orderID is the order's id in the path; what can't be one names nothing.
func orderID(r *http.Request) (string, error) {
	id := r.PathValue("id")
	if order, ok := domain.OrderOf(id); !ok || order != id {
		return "", httpapi.NotFound("order")
	}
	return id, nil
}

// query reads the parameters of a request, of which only these may be there.
func query(r *http.Request, names ...string) (url.Values, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, httpapi.Invalid(httpapi.FieldError{Parameter: "query", Detail: "can't be read"})
	}
	var unknown []httpapi.FieldError
	for name := range values {
		if !slices.Contains(names, name) {
			unknown = append(unknown, httpapi.FieldError{Parameter: name, Detail: "is not known here"})
		}
	}
	if len(unknown) > 0 {
		slices.SortFunc(unknown, func(a, b httpapi.FieldError) int { return cmp.Compare(a.Parameter, b.Parameter) })
		return nil, httpapi.Invalid(unknown...)
	}
	return values, nil
}
