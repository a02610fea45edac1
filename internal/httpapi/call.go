package httpapi

import (
	"context"
	"encoding/hex"
	"net/http"
	"strconv"
	"sync/atomic"
)

// call is what the middleware knows of a request; one value in the context, so that it costs one allocation.
type call struct {
	id       string
	operator Operator
	// operators are the keys that an operator was found in, to ask again; nil: it was none.
	operators *OperatorKeys
	channel   string
}

type callKey struct{}

func callFrom(ctx context.Context) *call {
	c, _ := ctx.Value(callKey{}).(*call)
	return c
}

// RequestID is the id of the request that this context belongs to, or "".
func RequestID(ctx context.Context) string {
	if c := callFrom(ctx); c != nil {
		return c.id
	}
	return ""
}

// OperatorFrom is the operator who sent the request, if one did.
func OperatorFrom(ctx context.Context) (Operator, bool) {
	if c := callFrom(ctx); c != nil && c.operator.Role != "" {
		return c.operator, true
	}
	return Operator{}, false
}

// ChannelFrom is the name of the trusted frontend that sent the request, if one did.
func ChannelFrom(ctx context.Context) (string, bool) {
	if c := callFrom(ctx); c != nil && c.channel != "" {
		return c.channel, true
	}
	return "", false
}

// IdempotencyKey is the request's Idempotency-Key, already validated by the middleware, or "".
func IdempotencyKey(r *http.Request) string { return r.Header.Get(idempotencyHeader) }

// requestIDs hands out ids for requests that bring none: a random beginning for this process and a counter.
type requestIDs struct {
	prefix string
	last   atomic.Uint64
}

func newRequestIDs(random [6]byte) *requestIDs {
	return &requestIDs{prefix: hex.EncodeToString(random[:]) + "-"}
}

// maxRequestID is the longest id that is taken over from a caller, in bytes.
const maxRequestID = 64

// of takes the caller's id if it is harmless, so that a trace can go on through us, else draws one.
func (ids *requestIDs) of(r *http.Request) string {
	if sent := r.Header.Get(requestIDHeader); sent != "" && len(sent) <= maxRequestID && harmless(sent) {
		return sent
	}
	return ids.prefix + strconv.FormatUint(ids.last.Add(1), 36)
}

func harmless(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c != '-' && c != '_' && c != '.' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return true
}
