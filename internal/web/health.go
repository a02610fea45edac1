package web

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"boxoffice/internal/httpapi"
)

const (
	checkTimeout = time.Second
	// checkFor is how long a judgement stands, so that asking often costs our servers nothing.
	checkFor = 500 * time.Millisecond
)

// Check is one thing that we depend on.
type Check struct {
	Name     string
	Required bool // without it no request can be served
	// Run is nil while the thing works. It must return soon after ctx ends, which it does after 1 s.
	Run func(ctx context.Context) error
}

// HealthRoutes are /livez and /readyz. Ready is a process whose required checks work and that has not been told to end.
func HealthRoutes(checks []Check, log *slog.Logger) []httpapi.Route {
	return []httpapi.Route{
		{Method: http.MethodGet, Path: "/livez", Who: httpapi.Anyone, Unlimited: true, Handle: live},
		{Method: http.MethodGet, Path: "/readyz", Who: httpapi.Anyone, Unlimited: true, Handle: newReadiness(checks, log).handle},
	}
}

// live says that the process runs, and nothing of what it depends on: a restart would not help with that.
func live(w http.ResponseWriter, _ *http.Request) error {
	return httpapi.JSON(w, http.StatusOK, map[string]string{"status": "alive"})
}

// readiness judges all checks, one judgement at a time.
type readiness struct {
	checks []Check
	log    *slog.Logger

	mu     sync.Mutex
	at     time.Time
	last   readyView
	failed []bool // by check, as it was last logged
}

type readyView struct {
	Ready  bool              `json:"ready"`
	Checks map[string]string `json:"checks"` // name → ok, or what kind of failure it is
}

func newReadiness(checks []Check, log *slog.Logger) *readiness {
	return &readiness{checks: checks, log: log, failed: make([]bool, len(checks))}
}

func (s *readiness) handle(w http.ResponseWriter, r *http.Request) error {
	view := s.judge(r.Context())
	if httpapi.Draining(r.Context()) {
		view = readyView{Checks: map[string]string{"process": "draining"}}
	}
	if !view.Ready {
		w.Header().Set("Retry-After", "1")
		return httpapi.JSON(w, http.StatusServiceUnavailable, view)
	}
	return httpapi.JSON(w, http.StatusOK, view)
}

func (s *readiness) judge(ctx context.Context) readyView {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.at.IsZero() && time.Since(s.at) < checkFor {
		return s.last
	}
	// The judgement is shared, so it must not fail because the one who asked first went away.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), checkTimeout)
	defer cancel()
	errs := make([]error, len(s.checks))
	var running sync.WaitGroup
	for i, check := range s.checks {
		running.Go(func() { errs[i] = check.Run(ctx) })
	}
	running.Wait()
	view := readyView{Ready: true, Checks: make(map[string]string, len(s.checks))}
	for i, check := range s.checks {
		view.Checks[check.Name] = kindOf(errs[i])
		view.Ready = view.Ready && (errs[i] == nil || !check.Required)
		s.note(ctx, i, errs[i])
	}
	s.at, s.last = time.Now(), view
	return view
}

// note logs a check that has begun or ceased to fail; the cause is for the log only.
func (s *readiness) note(ctx context.Context, i int, err error) {
	if s.failed[i] == (err != nil) {
		return
	}
	s.failed[i] = err != nil
	if err != nil {
		s.log.WarnContext(ctx, "not ready", "check", s.checks[i].Name, "required", s.checks[i].Required, "error", err)
		return
	}
	s.log.InfoContext(ctx, "ready again", "check", s.checks[i].Name)
}

// kindOf says what kind of failure an error is, and nothing of its text, which may name hosts and users.
func kindOf(err error) string {
	if err == nil {
		return "ok"
	}
	network, ofNetwork := errors.AsType[net.Error](err)
	switch {
	case errors.Is(err, context.DeadlineExceeded), ofNetwork && network.Timeout():
		return "timeout"
	case ofNetwork:
		return "unreachable"
	default:
		return "failed"
	}
}
