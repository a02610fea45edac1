package httpapi_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"boxoffice/domain"
	"boxoffice/internal/httpapi"
)

func TestTheDescriptionIsServedInBothForms(t *testing.T) {
	t.Parallel()
	api, err := httpapi.ParseOpenAPI()
	if err != nil {
		t.Fatal(err)
	}
	h := handlerOf(t, httpapi.Config{}, api.Routes()...)
	for path, c := range map[string]struct {
		kind, begin string
	}{
		"/openapi.json": {"application/json", `{"openapi":`},
		"/openapi.yaml": {"application/yaml", "# The HTTP interface"},
	} {
		answer := send(h, httptest.NewRequest(http.MethodGet, path, nil))
		body := bytes.ReplaceAll(answer.Body.Bytes(), []byte(`": `), []byte(`":`))
		if answer.Code != http.StatusOK || answer.Header().Get("Content-Type") != c.kind || !strings.HasPrefix(string(body), c.begin) {
			t.Errorf("%s: %d %s %.40s", path, answer.Code, answer.Header().Get("Content-Type"), body)
		}
		again := httptest.NewRequest(http.MethodGet, path, nil)
		again.Header.Set("If-None-Match", answer.Header().Get("ETag"))
		if got := send(h, again); got.Code != http.StatusNotModified || got.Body.Len() != 0 {
			t.Errorf("%s again: %d with %d bytes", path, got.Code, got.Body.Len())
		}
	}
	var whole map[string]any
	if err := json.Unmarshal(api.JSON, &whole); err != nil || whole["openapi"] != "3.1.0" {
		t.Errorf("%v %v", whole["openapi"], err)
	}
}

func TestEveryReferenceLeadsSomewhere(t *testing.T) {
	t.Parallel()
	api, err := httpapi.ParseOpenAPI()
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	var whole struct {
		Components map[string]map[string]any `json:"components"`
	}
	if err := json.Unmarshal(api.JSON, &whole); err != nil {
		t.Fatal(err)
	}
	for kind, parts := range whole.Components {
		for name := range parts {
			there["#/components/"+kind+"/"+name] = true
		}
	}
	used := map[string]bool{}
	for _, part := range strings.Split(string(api.JSON), `"$ref":`)[1:] {
		ref := strings.Split(part, `"`)[1]
		used[ref] = true
		if !there[ref] {
			t.Errorf("%s leads nowhere", ref)
		}
	}
	for name := range there {
		known := strings.Contains(name, "/securitySchemes/") || strings.HasSuffix(name, "NotAllowed")
		if !used[name] && !known {
			t.Errorf("%s is not used", name)
		}
	}
}

func TestTheCodesAreThoseOfTheDomain(t *testing.T) {
	t.Parallel()
	api, err := httpapi.ParseOpenAPI()
	if err != nil {
		t.Fatal(err)
	}
	schema, _ := api.Components.Schemas.Get("Code")
	described := map[string]bool{}
	for _, value := range schema.Enum {
		described[strings.Trim(string(value), `"`)] = true
	}
	for _, code := range []string{
		string(domain.Invalid), string(domain.NotFound), string(domain.SoldOut), string(domain.LimitReached), string(domain.SalesClosed),
		string(domain.SalesArePaused), string(domain.ShowIsCanceled), string(domain.HoldEnded), string(domain.NotCancelable),
		string(domain.CapacityInUse), string(domain.Exists), string(domain.IdempotencyMismatch),
		httpapi.CodeUnauthorized, httpapi.CodeForbidden, httpapi.CodeNotAllowed, httpapi.CodeOverloaded, httpapi.CodeUnavailable, httpapi.CodeInternal,
	} {
		if !described[code] {
			t.Errorf("openapi.yaml lacks the code %s", code)
		}
		delete(described, code)
	}
	for code := range described {
		t.Errorf("openapi.yaml has a code %s that is never sent", code)
	}
}
