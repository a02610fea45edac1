package httpapi

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// Limits of one request.
const (
	DefaultMaxBody        = 64 << 10         // bytes
	maxURLBytes           = 4 << 10          // path and query
	maxIdempotencyKey     = 255              // characters
	defaultRequestTimeout = 10 * time.Second // less than the server's write timeout, so that a late answer is one
)

// Config is what the middleware needs to know. Log is required, the rest may stay zero.
type Config struct {
	Operators      *OperatorKeys // nil: nobody is an operator
	Channels       *ChannelKeys  // nil or empty: Channel routes are open to anyone
	RequestTimeout time.Duration // 0: 10 s; streams have none
	HTTPS          bool          // callers reach us over https, also if a proxy in front ends it
	RateLimit      float64       // requests a second from one address of callers without a key; 0: no limit
	// TrustedProxies are the networks whose X-Forwarded-For is believed.
	TrustedProxies []netip.Prefix
	Log            *slog.Logger // nil: says nothing
	// Observe is told of each answered request: its route ("" if none matched), status and duration. May be nil.
	Observe func(route string, status int, d time.Duration)
	// Trace begins a span of a request; ended is told the route ("" if none matched) and the status. May be nil.
	Trace func(r *http.Request) (ctx context.Context, ended func(route string, status int))
}

type handler struct {
	config  Config
	mux     *http.ServeMux
	ids     *requestIDs
	limits  *limiter // nil: none
	origins http.CrossOriginProtection
}

// NewHandler builds the handler of all routes, behind the middleware. Errors: all mistakes of the table, such as
// a route that is there twice or does not say who may call it.
func NewHandler(config Config, routes ...[]Route) (http.Handler, error) {
	if config.RequestTimeout == 0 {
		config.RequestTimeout = defaultRequestTimeout
	}
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	var random [6]byte
	_, _ = rand.Read(random[:]) // never fails since Go 1.24
	h := &handler{config: config, mux: http.NewServeMux(), ids: newRequestIDs(random)}
	h.limits = newLimiter(config.RateLimit, config.TrustedProxies)
	var errs []error
	for _, table := range routes {
		for _, route := range table {
			if err := h.add(route); err != nil {
				errs = append(errs, fmt.Errorf("route %s: %w", route.Name(), err))
			}
		}
	}
	h.mux.HandleFunc("/", h.unmatched)
	return h, errors.Join(errs...)
}

func (h *handler) add(route Route) (err error) {
	switch {
	case !route.Who.valid():
		return fmt.Errorf("who may call it is not declared well (%s)", route.Who)
	case route.Handle == nil:
		return errors.New("it has no handler")
	case route.Method == "" || route.Method != strings.ToUpper(route.Method):
		return errors.New("its method must be in capitals")
	}
	if route.MaxBody == 0 {
		route.MaxBody = DefaultMaxBody
	}
	// ServeMux panics on patterns that are not valid or clash; the table is data, so it gets an error.
	defer func() {
		if reason := recover(); reason != nil {
			err = fmt.Errorf("%v", reason)
		}
	}()
	h.mux.HandleFunc(route.Name(), func(w http.ResponseWriter, r *http.Request) {
		answer := w.(*answer)
		answer.route = &route
		if err := h.serve(answer, r); err != nil {
			h.refuse(answer, r, route.Format, err)
		}
	})
	return nil
}

// serve checks what the route asks for, cheapest first, and lets it handle the request.
func (h *handler) serve(w *answer, r *http.Request) (err error) {
	route := w.route
	if route.Format == Page {
		w.Header().Set("Content-Security-Policy", pagePolicy)
	}
	judged, err := h.admit(callFrom(r.Context()), route, r)
	if err != nil {
		return err
	}
	defer func() { err = judged(err) }()
	if err := h.checkOrigin(route, r); err != nil {
		return err
	}
	if err := checkIdempotencyKey(route, r); err != nil {
		return err
	}
	if err := checkBody(route, r); err != nil {
		return err
	}
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = http.MaxBytesReader(w.ResponseWriter, r.Body, route.MaxBody)
	}
	ctx, cancel := h.limit(r.Context(), route)
	defer cancel()
	return route.Handle(w, r.WithContext(ctx))
}

// limit ends a request's context after the time it may take; a stream's when the server begins to shut down.
func (h *handler) limit(ctx context.Context, route *Route) (context.Context, context.CancelFunc) {
	if !route.Stream {
		return context.WithTimeout(ctx, h.config.RequestTimeout)
	}
	ctx, cancel := context.WithCancel(ctx)
	if serving, ok := ctx.Value(servingKey{}).(context.Context); ok {
		stop := context.AfterFunc(serving, cancel)
		return ctx, func() { stop(); cancel() }
	}
	return ctx, cancel
}

// unmatched answers what no route is for: 405 where another method would match, else 404.
func (h *handler) unmatched(w http.ResponseWriter, r *http.Request) {
	answer, format := w.(*answer), formatOf(r)
	if err := h.admitStranger(r); err != nil {
		h.refuse(answer, r, format, err)
		return
	}
	var allowed []string
	if plain(r) {
		allowed = h.allowed(r)
	}
	if len(allowed) == 0 {
		p := newProblem(http.StatusNotFound, "not_found", "Not found", "There is nothing at this address.")
		h.refuse(answer, r, format, p)
		return
	}
	methods := strings.Join(allowed, ", ")
	w.Header().Set("Allow", methods)
	detail := "This address answers to " + methods + "."
	h.refuse(answer, r, format, newProblem(http.StatusMethodNotAllowed, CodeNotAllowed, "Method not allowed", detail))
}

// formatOf is how a request is answered before its route is known, by its address and by what it asks for.
func formatOf(r *http.Request) Format {
	switch {
	case r.URL.Path == "/orders/ticket", strings.HasPrefix(r.URL.Path, "/webhooks/payment"):
		return Owner
	case strings.Contains(r.Header.Get("Accept"), "text/html"):
		return Page
	default:
		return Native
	}
}

// allowed lists the methods that some route has at the address of a request.
func (h *handler) allowed(r *http.Request) []string {
	var methods []string
	other := &http.Request{URL: r.URL, Host: r.Host}
	for _, method := range []string{
		http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
	} {
		other.Method = method
		if _, pattern := h.mux.Handler(other); pattern != "/" {
			methods = append(methods, method)
		}
	}
	return methods
}
