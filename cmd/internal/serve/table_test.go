package serve

import (
	"log/slog"
	"testing"

	"boxoffice/cmd/internal/config"
	"boxoffice/internal/httpapi"
	"boxoffice/internal/httpapi/httpapitest"
)

// policy is who may call what, said a second time.
func policy() map[string]httpapi.Who {
	sales, admin := httpapi.Operators(httpapi.RoleSales), httpapi.Operators(httpapi.RoleAdmin)
	return map[string]httpapi.Who{
		"POST /orders/ticket":                           httpapi.Channel,
		"POST /orders":                                  httpapi.Anyone,
		"POST /orders/{id}/payments":                    httpapi.Buyer,
		"POST /orders/{id}/cancel":                      httpapi.Buyer,
		"GET /orders":                                   httpapi.AnyOperator(),
		"GET /orders/{id}":                              httpapi.Buyer,
		"GET /orders/{id}/history":                      httpapi.Buyer,
		"GET /orders/{id}/events":                       httpapi.Buyer,
		"POST /shows":                                   admin,
		"PATCH /shows/{id}":                             sales,
		"POST /shows/{id}/ticket-types":                 sales,
		"PATCH /shows/{id}/ticket-types/{ticketTypeId}": sales,
		"POST /shows/{id}/pause":                        sales,
		"POST /shows/{id}/resume":                       sales,
		"POST /shows/{id}/cancel":                       sales,
		"GET /shows":                                    httpapi.Anyone,
		"GET /shows/{id}":                               httpapi.Anyone,
		"GET /shows/{id}/availability":                  httpapi.Anyone,
		"GET /shows/{id}/availability/events":           httpapi.Anyone,
		"GET /open-items":                               httpapi.AnyOperator(),
		"POST /open-items/{id}/resolve":                 admin,
		"POST /webhooks/payment":                        httpapi.Gateway,
		"GET /simulator/payments/{paymentId}":           httpapi.AnyOperator(),
		"POST /simulator/payments/{paymentId}":          sales,
		"GET /{$}":                                      httpapi.Anyone,
		"GET /favicon.ico":                              httpapi.Anyone,
		"GET /assets/boxoffice.css":                     httpapi.Anyone,
		"GET /assets/boxoffice.js":                      httpapi.Anyone,
		"GET /assets/favicon.svg":                       httpapi.Anyone,
		"GET /docs":                                     httpapi.Anyone,
		"GET /assets/docs.css":                          httpapi.Anyone,
		"GET /openapi.json":                             httpapi.Anyone,
		"GET /openapi.yaml":                             httpapi.Anyone,
		"GET /livez":                                    httpapi.Anyone,
		"GET /readyz":                                   httpapi.Anyone,
	}
}

// table is what a process with a demo's or a service's settings serves.
func table(t *testing.T, demo bool) []httpapi.Route {
	t.Helper()
	s := &service{metrics: newMetrics(), Options: Options{Log: slog.New(slog.DiscardHandler), Demo: demo, Config: config.Config{
		DatabaseURL: "postgres://localhost/nowhere", PaymentGateway: "simulator", PublicURL: "http://localhost",
		SecretKeys: config.Secrets{"0123456789abcdef0123456789abcdef"}, Roles: config.AllRoles(),
		WebhookSecrets: config.Secrets{"whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="},
	}}}
	if err := s.open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = s.db.Close()
		_ = s.reads.Close()
	})
	if err := s.newGateway(); err != nil {
		t.Fatal(err)
	}
	return s.routes()
}

func TestEveryRouteKeepsOutWhoMayNotCallIt(t *testing.T) {
	t.Parallel()
	httpapitest.CheckRoutes(t, table(t, false), policy())
}

func TestADemoOpensTheSimulatorAndNothingElse(t *testing.T) {
	t.Parallel()
	open := policy()
	open["GET /simulator/payments/{paymentId}"] = httpapi.Anyone
	open["POST /simulator/payments/{paymentId}"] = httpapi.Anyone
	httpapitest.CheckRoutes(t, table(t, true), open)
}
