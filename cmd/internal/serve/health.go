package serve

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"boxoffice/internal/httpapi"
	"boxoffice/internal/web"
)

// checks are what makes a process ready. Kafka is not among them: no order is refused because of it.
func (s *service) checks() []web.Check {
	return []web.Check{{Name: "postgres", Required: true, Run: func(ctx context.Context) error {
		if err := s.db.PingContext(ctx); err != nil {
			return err
		}
		if !s.prepared.Load() {
			return errNotPrepared
		}
		return nil
	}}}
}

// errNotPrepared: Postgres answers, but the process has not begun to work on it.
var errNotPrepared = errors.New("the database is not prepared yet")

// health answers /livez and /readyz beside the metrics, because most roles serve no other HTTP.
func (s *service) health() (http.Handler, error) {
	handler, err := httpapi.NewHandler(httpapi.Config{Log: s.Log}, web.HealthRoutes(s.checks(), s.Log))
	if err != nil {
		return nil, fmt.Errorf("health routes: %w", err)
	}
	return handler, nil
}
