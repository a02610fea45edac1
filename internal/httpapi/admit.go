package httpapi

import (
	"errors"
	"net/http"
)

// admit judges who sent a request and how much may come from there. Operators and channels are known and not
// limited; everybody else is, by address. Whoever has sent too many wrong keys from an address is not heard for a
// moment, whatever the next one is, because otherwise guessing would cost nothing. The returned function tells it how
// the request was judged by its handler. Errors: *Problem.
func (h *handler) admit(c *call, route *Route, r *http.Request) (done func(error), err error) {
	done = func(error) {}
	if h.limits == nil || route.Unlimited {
		return done, h.authorize(c, route.Who, r)
	}
	address := h.limits.clientOf(r)
	budget := h.limits.budgetOf(address)
	if route.Who == Gateway || len(r.Header["Authorization"]) > 0 {
		if err := h.limits.mayTry(budget); err != nil {
			return done, err
		}
	}
	if err := h.authorize(c, route.Who, r); err != nil {
		if problem, ok := errors.AsType[*Problem](err); ok && problem.Status == http.StatusUnauthorized && len(r.Header["Authorization"]) > 0 {
			h.limits.wrongKey(budget)
		}
		if c.known() {
			return done, err
		}
		if busy := h.limits.take(budget); busy != nil {
			return done, busy
		}
		return done, err
	}
	switch {
	case c.known():
		return done, nil
	case route.Who == Gateway:
		return func(err error) { h.judged(budget, err) }, nil
	}
	if _, key := bearer(r); key != "" {
		h.limits.wrongKey(budget) // who may call without a key is not asked for one, but may try some
	}
	if err := h.limits.take(budget); err != nil {
		return done, err
	}
	if !route.Stream {
		return done, nil
	}
	end, err := h.limits.openStream(address)
	if err != nil {
		return done, err
	}
	return func(error) { end() }, nil
}

// judged counts a delivery that was refused as the caller's mistake. Those that are signed well are not limited, and
// a well-signed one that says nothing to us is 400: it must not cost the gateway the deliveries of its money.
func (h *handler) judged(b *budget, err error) {
	if err == nil {
		return
	}
	if status := FromError(err).Status; status > http.StatusBadRequest && status < http.StatusInternalServerError {
		h.limits.wrongKey(b)
	}
}

// admitStranger limits what no route is for.
func (h *handler) admitStranger(r *http.Request) error {
	if h.limits == nil {
		return nil
	}
	return h.limits.take(h.limits.budgetOf(h.limits.clientOf(r)))
}

// known reports whether the caller is an operator or a trusted frontend.
func (c *call) known() bool { return c.operator.Role != "" || c.channel != "" }
