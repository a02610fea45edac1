package openapitest

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"boxoffice/internal/httpapi"
)

func TestTheDocumentIsValidOpenAPI(t *testing.T) {
	t.Parallel()
	r, err := load()
	if err != nil {
		t.Fatal(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	_, errs := r.http.ValidateDocument()
	for _, difference := range texts(errs, nil) {
		t.Error(difference)
	}
}

func TestTheExamplesAreWhatTheirSchemasSay(t *testing.T) {
	t.Parallel()
	r, err := load()
	if err != nil {
		t.Fatal(err)
	}
	judged := 0
	for _, path := range r.document.Paths {
		for _, operation := range path.Value.Operations() {
			where := operation.Name + " " + path.Name
			if body := operation.Value.RequestBody; body != nil {
				item, _ := r.model.Paths.PathItems.Get(path.Name)
				high, _ := item.GetOperations().Get(strings.ToLower(operation.Name))
				for _, media := range body.Content {
					found, _ := high.RequestBody.Content.Get(media.Name)
					for _, example := range examples(media.Value.Example, media.Value.Examples) {
						judged++
						r.mu.Lock()
						_, errs := r.schemas.ValidateSchemaString(found.Schema.Schema(), string(example))
						r.mu.Unlock()
						for _, difference := range texts(errs, example) {
							t.Errorf("%s: %s", where, difference)
						}
					}
				}
			}
			for _, answer := range operation.Value.Responses {
				for _, media := range r.document.Response(answer.Value).Content {
					if !strings.HasSuffix(media.Name, "json") {
						continue
					}
					for _, example := range examples(media.Value.Example, media.Value.Examples) {
						judged++
						for _, difference := range r.checkBody(request(operation.Name, path.Name), answered(answer.Name, media.Name), example) {
							t.Errorf("%s %s: %s", where, answer.Name, difference)
						}
					}
				}
			}
		}
	}
	if judged < 30 {
		t.Errorf("only %d examples were judged", judged)
	}
}

func examples(one jsontext.Value, named httpapi.Ordered[httpapi.APIExample]) []jsontext.Value {
	var all []jsontext.Value
	if one != nil {
		all = append(all, one)
	}
	for _, example := range named {
		all = append(all, example.Value.Value)
	}
	return all
}

func request(method, path string) *http.Request {
	path = strings.NewReplacer("{id}", "1", "{ticketTypeId}", "1", "{paymentId}", "PAY-1", "{gateway}", "own").Replace(path)
	r, err := http.NewRequest(method, "http://127.0.0.1"+path, nil)
	if err != nil {
		panic(err)
	}
	return r
}

// answered is an answer with the headers that are always there.
func answered(status, contentType string) *http.Response {
	response := &http.Response{Header: http.Header{"Content-Type": {contentType}, "X-Request-Id": {"x"}}, Body: http.NoBody}
	if _, err := fmt.Sscan(status, &response.StatusCode); err != nil {
		panic(err)
	}
	for name, value := range map[string]string{
		"Etag": `"1"`, "Retry-After": "1", "Location": "/orders/x", "Www-Authenticate": "Bearer",
	} {
		response.Header.Set(name, value)
	}
	return response
}

func TestWhatIsNotDocumentedIsRefused(t *testing.T) {
	t.Parallel()
	r, err := load()
	if err != nil {
		t.Fatal(err)
	}
	const (
		stock   = `{"ticketTypeId":1,"name":"Chair","price":90000,"capacity":10,"held":0,"sold":0,"available":10}`
		left    = `{"showId":3,"version":1,"asOf":"2026-11-22T20:38:47.573601Z","ticketTypes":[` + stock + `]}`
		problem = `{"type":"/problems/not_found","title":"Not found","status":404,"instance":"x","code":"not_found"}`
		path    = "/shows/{id}/availability"
	)
	for name, c := range map[string]struct {
		method, path, status, kind, body string
		header                           string // one more
		missing                          string // a header that is left out
		want                             string // empty: nothing is wrong
	}{
		"a good answer":               {method: "GET", path: path, status: "200", kind: "application/json", body: left},
		"a good refusal":              {method: "GET", path: path, status: "404", kind: "application/problem+json", body: problem, missing: "Etag"},
		"a made-up field":             {method: "GET", path: path, status: "200", kind: "application/json", body: strings.Replace(left, `"version"`, `"surprise":1,"version"`, 1), want: "surprise"},
		"a made-up field further in":  {method: "GET", path: path, status: "200", kind: "application/json", body: strings.Replace(left, `"held"`, `"surprise":1,"held"`, 1), want: "surprise"},
		"a field that is missing":     {method: "GET", path: path, status: "200", kind: "application/json", body: strings.Replace(left, `"version":1,`, ``, 1), want: "version"},
		"another kind":                {method: "GET", path: path, status: "200", kind: "application/json", body: strings.Replace(left, `"version":1`, `"version":"1"`, 1), want: "integer"},
		"a negative count":            {method: "GET", path: path, status: "200", kind: "application/json", body: strings.Replace(left, `"held":0`, `"held":-1`, 1), want: "minimum"},
		"a time that is none":         {method: "GET", path: path, status: "200", kind: "application/json", body: strings.Replace(left, `2026-11-22T`, `2026-11-22 `, 1), want: "date-time"},
		"a made-up code":              {method: "GET", path: path, status: "404", kind: "application/problem+json", body: strings.Replace(problem, `"code":"not_found"`, `"code":"gone"`, 1), missing: "Etag", want: "code"},
		"a code of another status":    {method: "GET", path: path, status: "404", kind: "application/problem+json", body: strings.Replace(problem, `"code":"not_found"`, `"code":"invalid"`, 1), missing: "Etag", want: "code"},
		"a status that is not listed": {method: "GET", path: path, status: "409", kind: "application/problem+json", body: problem, want: "the status is not documented"},
		"another content type":        {method: "GET", path: path, status: "200", kind: "text/plain", body: left, want: "content type"},
		"a header that is not listed": {method: "GET", path: path, status: "200", kind: "application/json", body: left, header: "X-Surprise", want: "X-Surprise"},
		"a header that is missing":    {method: "GET", path: path, status: "200", kind: "application/json", body: left, missing: "Etag", want: "ETag"},
		"no such address":             {method: "GET", path: "/nothing", status: "404", kind: "application/problem+json", body: problem},
		"a made-up address":           {method: "GET", path: "/nothing", status: "200", kind: "application/json", body: `{}`, want: "no such operation"},
		"a made-up method":            {method: "DELETE", path: path, status: "204", want: "no such operation"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			response := answered(c.status, c.kind)
			for _, sent := range []string{"Location", "Retry-After", "Www-Authenticate", c.missing} {
				response.Header.Del(sent)
			}
			if c.header != "" {
				response.Header.Set(c.header, "1")
			}
			got := strings.Join(r.check(request(c.method, c.path), response, []byte(c.body)), "; ")
			if c.want == "" && got != "" || !strings.Contains(got, c.want) {
				t.Errorf("it says %q, want %q", got, c.want)
			}
		})
	}
}

func TestAnEventIsJudgedByItsKind(t *testing.T) {
	t.Parallel()
	r, err := load()
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	text := "event: order\nid: 3\ndata: {\"orderId\":\"ORDER-20261122-00000002\",\"status\":\"COMPLETED\",\"version\":3}\n\n:\n\n" +
		"event: order\nid: 4\ndata: {\"orderId\":\"ORDER-20261122-00000002\",\"status\":\"COMPLETED\",\"version\":4,\"surprise\":1}\n\n" +
		"event: rumour\nid: 5\ndata: {}\n\n"
	reader := &eventReader{ReadCloser: io.NopCloser(strings.NewReader(text)), check: func(name string, data []byte) {
		said = append(said, strings.Join(r.checkEvent(request("GET", "/orders/{id}/events"), name, data), "; "))
	}}
	if read, err := io.ReadAll(reader); err != nil || string(read) != text {
		t.Fatalf("%q %v", read, err)
	}
	if len(said) != 3 || said[0] != "" || !strings.Contains(said[1], "surprise") || !strings.Contains(said[2], "rumour") {
		t.Errorf("%q", said)
	}
}

func TestARequestThatIsAcceptedMustBeOneThatIsDocumented(t *testing.T) {
	t.Parallel()
	r, err := load()
	if err != nil {
		t.Fatal(err)
	}
	send := func(body string) string {
		sent, err := http.NewRequest(http.MethodPatch, "http://127.0.0.1/shows/1", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		sent.Header.Set("Content-Type", "application/json")
		return strings.Join(r.checkRequest(sent, "/shows/{id}"), "; ")
	}
	if got := send(`{"name":"Night"}`); got != "" {
		t.Error(got)
	}
	if got := send(`{"name":"Night","surprise":1}`); !strings.Contains(got, "surprise") {
		t.Errorf("it says %q", got)
	}
}
