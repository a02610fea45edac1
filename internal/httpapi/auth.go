package httpapi

import (
	"net/http"
	"strings"
)

// authorize judges who sent the request by the route's Who, and notes it in the call. Errors: *Problem.
func (h *handler) authorize(c *call, who Who, r *http.Request) error {
	sent, key := bearer(r)
	switch who {
	case Gateway:
		return nil
	case Channel:
		if !h.config.Channels.Configured() {
			return nil
		}
		name, ok := h.config.Channels.Lookup(key)
		if !ok {
			return keyNeeded()
		}
		c.channel = name
		return nil
	}
	operator, ok := h.config.Operators.Lookup(key)
	if ok {
		c.operator, c.operators = operator, h.config.Operators
	}
	switch {
	case who == Anyone, who == Buyer && (ok || !sent):
		return nil
	case !ok && who == Buyer:
		return Unauthorized()
	case !ok:
		return keyNeeded()
	case who != Buyer && !who.Allows(operator.Role):
		return Forbidden("Your role, " + string(operator.Role) + ", may not do this.")
	}
	return nil
}

// Revoked reports whether an operator sent the request whose key is not taken any more, or for another role: a
// long answer has to end then.
func Revoked(r *http.Request) bool {
	c := callFrom(r.Context())
	if c == nil || c.operators == nil {
		return false
	}
	_, key := bearer(r)
	operator, ok := c.operators.Lookup(key)
	return !ok || operator != c.operator
}

// bearer reads the Authorization header. Several of them count as a wrong one.
func bearer(r *http.Request) (sent bool, key string) {
	values := r.Header["Authorization"]
	if len(values) != 1 {
		return len(values) > 0, ""
	}
	scheme, key, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return true, ""
	}
	return true, strings.TrimSpace(key)
}
