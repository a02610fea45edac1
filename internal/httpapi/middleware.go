package httpapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"
)

// answer watches what becomes of one answer.
type answer struct {
	http.ResponseWriter
	route  *Route // nil until one matched
	status int    // 0 until something is written
}

// WriteHeader notes the status.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

// Write notes that the status is 200 if nothing else was said.
func (a *answer) Write(b []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	return a.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController find what the server's own writer can do.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// ServeHTTP is the one middleware: what holds for every request, matched or not, happens here.
func (h *handler) ServeHTTP(writer http.ResponseWriter, r *http.Request) {
	start := time.Now()
	c := &call{id: h.ids.of(r)}
	ctx, ended := r.Context(), func(string, int) {}
	if h.config.Trace != nil {
		ctx, ended = h.config.Trace(r)
	}
	r = r.WithContext(context.WithValue(ctx, callKey{}, c))
	w := &answer{ResponseWriter: writer}
	setHeaders(w.Header(), c.id, h.config.HTTPS)
	defer h.done(w, r, start, ended)
	defer h.recover(w, r)
	if err := checkURL(r); err != nil {
		h.refuse(w, r, formatOf(r), err)
		return
	}
	if !plain(r) {
		h.unmatched(w, r)
		return
	}
	h.mux.ServeHTTP(w, r)
}

// recover turns a panic into an answer without details.
func (h *handler) recover(w *answer, r *http.Request) {
	switch reason := recover(); reason {
	case nil:
	case http.ErrAbortHandler:
		panic(reason)
	default:
		format := Native
		if w.route != nil {
			format = w.route.Format
		}
		h.refuse(w, r, format, fmt.Errorf("panic: %v\n%s", reason, debug.Stack()))
	}
}

// done tells metrics, traces and the debug log what became of the request.
func (h *handler) done(w *answer, r *http.Request, start time.Time, ended func(route string, status int)) {
	took := time.Since(start)
	name := ""
	if w.route != nil {
		name = w.route.Name()
	}
	if w.status == 0 {
		w.status = http.StatusOK // what the server sends for a handler that wrote nothing
	}
	if h.config.Observe != nil {
		h.config.Observe(name, w.status, took)
	}
	ended(name, w.status)
	if ctx := r.Context(); h.config.Log.Enabled(ctx, slog.LevelDebug) {
		// The path is logged without the query, which may carry a token.
		h.config.Log.DebugContext(ctx, "request", "request_id", RequestID(ctx), "method", r.Method, "path", r.URL.Path,
			"route", name, "status", w.status, "duration", took)
	}
}

// refuse answers with the outside view of an error. A fault is logged here, once, and nowhere else.
func (h *handler) refuse(w *answer, r *http.Request, format Format, err error) {
	ctx := r.Context()
	p := FromError(err)
	gone := errors.Is(ctx.Err(), context.Canceled)
	if p.Status >= http.StatusInternalServerError && p.Code != CodeOverloaded && !gone {
		level := slog.LevelError
		if p.Code == CodeUnavailable {
			level = slog.LevelWarn
		}
		h.config.Log.Log(ctx, level, "request failed", "request_id", RequestID(ctx), "method", r.Method, "path", r.URL.Path, "error", err)
	}
	if w.status != 0 {
		// Half an answer is out already: the caller must not take it for a whole one.
		panic(http.ErrAbortHandler)
	}
	if err := Write(w, r, format, p); err != nil {
		h.config.Log.ErrorContext(ctx, "refusal not written", "request_id", RequestID(ctx), "error", err)
	}
}
