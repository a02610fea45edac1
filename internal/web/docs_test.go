package web_test

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"boxoffice/internal/httpapi"
	"boxoffice/internal/httpapi/httpapitest"
	"boxoffice/internal/web"
)

func docs(t *testing.T) (*httpapi.OpenAPI, http.Handler) {
	t.Helper()
	api, err := httpapi.ParseOpenAPI()
	if err != nil {
		t.Fatal(err)
	}
	h, err := httpapi.NewHandler(httpapi.Config{}, web.Docs(api, "https://tickets.example.com/"), web.Routes(web.Config{}))
	if err != nil {
		t.Fatal(err)
	}
	return api, h
}

func read(t *testing.T, h http.Handler, path string) string {
	t.Helper()
	answer := httptest.NewRecorder()
	h.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, path, nil))
	if answer.Code != http.StatusOK {
		t.Fatalf("%s: %d %s", path, answer.Code, answer.Body)
	}
	return answer.Body.String()
}

func TestTheDocumentationIsForAnyone(t *testing.T) {
	t.Parallel()
	api, _ := docs(t)
	httpapitest.CheckRoutes(t, web.Docs(api, ""), map[string]httpapi.Who{"GET /docs": httpapi.Anyone, "GET /assets/docs.css": httpapi.Anyone})
}

func TestTheDocumentationTellsOfEveryRouteAndSchema(t *testing.T) {
	t.Parallel()
	api, h := docs(t)
	page := read(t, h, "/docs")
	for _, path := range api.Paths {
		for _, operation := range path.Value.Operations() {
			for _, want := range []string{`<article id="` + operation.Value.OperationID + `">`, `href="#` + operation.Value.OperationID + `"`} {
				if !strings.Contains(page, want) {
					t.Errorf("%s %s: the page has no %s", operation.Name, path.Name, want)
				}
			}
		}
	}
	for _, schema := range api.Components.Schemas {
		if !strings.Contains(page, `<article id="schema-`+schema.Name+`">`) {
			t.Errorf("the page has no schema %s", schema.Name)
		}
	}
	for _, want := range []string{
		"curl -i -X POST &#39;https://tickets.example.com/orders/ticket&#39;", "Idempotency-Key: 0b7e0a3e",
		"operators (admin, sales)", "the buyer with the order&#39;s token", "application/problem&#43;json", "<code>Retry-After</code>", "text/event-stream",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %s", want)
		}
	}
}

func TestTheDocumentationNeedsNothingInlineOrForeign(t *testing.T) {
	t.Parallel()
	_, h := docs(t)
	page := read(t, h, "/docs")
	for what, pattern := range map[string]string{
		"a script":                 `<script`,
		"an inline style":          `<style|\sstyle=`,
		"an event handler":         `<[^>]*\son[a-z]+=`,
		"something from elsewhere": `(src|href|action)="(https?:|//)`,
		"an empty cell":            `<code></code>`,
		"a value that is missing":  `<no value>|%!`,
	} {
		if found := regexp.MustCompile(pattern).FindString(page); found != "" {
			t.Errorf("%s: %s", what, found)
		}
	}
	ids := map[string]int{}
	for _, id := range regexp.MustCompile(`\sid="([^"]*)"`).FindAllStringSubmatch(page, -1) {
		ids[id[1]]++
	}
	for id, times := range ids {
		if times > 1 {
			t.Errorf("#%s is there %d times", id, times)
		}
	}
	for _, link := range regexp.MustCompile(`href="#([^"]*)"`).FindAllStringSubmatch(page, -1) {
		if ids[link[1]] == 0 {
			t.Errorf("#%s leads nowhere", link[1])
		}
	}
	for _, file := range regexp.MustCompile(`href="(/assets/[^"]*)"`).FindAllStringSubmatch(page, -1) {
		read(t, h, file[1])
	}
}
