package httpapi

import (
	"errors"
	"net/http"
)

// admit judges who sent a request and how much may come from there. Operators and channels are known and not
// limited; everybody else is, by address. No key is looked at for a moment from an address that has sent too many wrong
// ones, a right one neither: a guesser must not learn which it is. Signatures of deliveries can't be guessed, so they
// are judged first, and money is reported also from an address from which others forge. The returned function takes how
// the handler judged the request, and gives what is answered. Errors: *Problem.
func (h *handler) admit(c *call, route *Route, r *http.Request) (done func(error) error, err error) {
	done = func(err error) error { return err }
	if h.limits == nil || route.Unlimited {
		return done, h.authorize(c, route.Who, r)
	}
	address := h.limits.clientOf(r)
	budget := h.limits.budgetOf(address)
	if route.Who == Gateway {
		return func(err error) error { return h.judged(budget, err) }, nil
	}
	if len(r.Header["Authorization"]) > 0 {
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
	if c.known() {
		return done, nil
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
	return func(err error) error { end(); return err }, nil
}

// judged counts a delivery that is not signed well, or was refused before that could be seen. When there are too many
// of them, the next is refused for that. Whatever else becomes of a delivery, it was signed well and is not limited.
func (h *handler) judged(b *budget, err error) error {
	if err == nil {
		return nil
	}
	switch FromError(err).Status {
	case http.StatusUnauthorized, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType:
		if busy := h.limits.mayTry(b); busy != nil {
			return busy
		}
		h.limits.wrongKey(b)
	}
	return err
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
