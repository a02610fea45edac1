package serve

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"boxoffice/internal/httpapi"
)

// described are the operations of openapi.yaml by the name of their route.
func described(t *testing.T, api *httpapi.OpenAPI) map[string]*httpapi.APIOperation {
	t.Helper()
	all := map[string]*httpapi.APIOperation{}
	for _, path := range api.Paths {
		for _, operation := range path.Value.Operations() {
			all[operation.Name+" "+path.Name] = operation.Value
		}
	}
	return all
}

// describedAs is the name of a route in openapi.yaml.
func describedAs(route httpapi.Route) string {
	path := strings.TrimSuffix(route.Path, "{$}")
	if strings.HasPrefix(path, "/webhooks/payment/") {
		path = "/webhooks/payment/{gateway}"
	}
	return route.Method + " " + path
}

func TestOpenAPIDescribesTheRouteTableAndNothingElse(t *testing.T) {
	t.Parallel()
	api, err := httpapi.ParseOpenAPI()
	if err != nil {
		t.Fatal(err)
	}
	operations, routes := described(t, api), table(t, false)
	there := map[string]bool{}
	for _, route := range routes {
		there[describedAs(route)] = true
		if operations[describedAs(route)] == nil {
			t.Errorf("openapi.yaml does not describe %s", route.Name())
		}
	}
	for _, path := range api.Paths {
		for _, operation := range path.Value.Operations() {
			if name := operation.Name + " " + path.Name; !there[name] && !path.Value.Optional {
				t.Errorf("openapi.yaml describes %s, but there is no such route", name)
			}
		}
	}
}

func TestOpenAPISaysWhoMayCallAndWhatTheMiddlewareRefuses(t *testing.T) {
	t.Parallel()
	api, err := httpapi.ParseOpenAPI()
	if err != nil {
		t.Fatal(err)
	}
	operations := described(t, api)
	for _, route := range table(t, false) {
		operation := operations[describedAs(route)]
		if operation == nil {
			continue // the other test tells
		}
		if wrong := wrongSecurity(route, operation); wrong != "" {
			t.Errorf("%s is for %s, openapi.yaml says %v: %s", route.Name(), route.Who, operation.Security, wrong)
		}
		for status, comes := range statuses(route) {
			if _, ok := operation.Responses.Get(status); ok != comes {
				t.Errorf("%s: does it answer %s? %t, openapi.yaml says %t", route.Name(), status, comes, ok)
			}
		}
		required := false
		for _, p := range operation.Parameters {
			if p = api.Parameter(p); p.Name == "Idempotency-Key" {
				required = p.Required
			}
		}
		if required != (route.Idempotent && route.Format == httpapi.Native) {
			t.Errorf("%s: Idempotency-Key is required: %t", route.Name(), required)
		}
	}
}

// statuses are the answers that follow from a route's line in the table, and whether they come.
func statuses(route httpapi.Route) map[string]bool {
	reads := route.Method == http.MethodGet
	return map[string]bool{
		"400": true, "414": true, "500": true, "429": !route.Unlimited,
		"401": route.Who != httpapi.Anyone, "413": !reads, "415": !reads,
		"403": route.Who.ForOperators() || !reads && route.Who != httpapi.Gateway,
	}
}

// wrongSecurity compares who may call with what is described.
func wrongSecurity(route httpapi.Route, operation *httpapi.APIOperation) string {
	has := func(scheme string) bool {
		return slices.ContainsFunc(operation.Security, func(way map[string][]string) bool { _, ok := way[scheme]; return ok })
	}
	anyone := len(operation.Security) == 0 || slices.ContainsFunc(operation.Security, func(way map[string][]string) bool { return len(way) == 0 })
	switch route.Who {
	case httpapi.Anyone:
		if !anyone || has("orderToken") || has("channel") || has("webhookSignature") {
			return "it must be for anyone"
		}
		return ""
	case httpapi.Channel:
		if !has("channel") || !anyone || has("operator") {
			return "it must be for channels, and for anyone without channel keys"
		}
		return ""
	case httpapi.Buyer:
		if !has("orderToken") || !has("operator") {
			return "it must be for the token and for operators"
		}
		return ""
	case httpapi.Gateway:
		if !has("webhookSignature") || anyone || has("operator") {
			return "it must be for a signature"
		}
		return ""
	}
	if len(operation.Security) != 1 {
		return "it must be for operators only"
	}
	for _, role := range []httpapi.Role{httpapi.RoleAdmin, httpapi.RoleSales, httpapi.RoleDoor, httpapi.RoleRead} {
		if route.Who.Allows(role) != slices.Contains(operation.Security[0]["operator"], string(role)) {
			return "the roles differ at " + string(role)
		}
	}
	return ""
}
