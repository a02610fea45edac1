package httpapi_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"

	"boxoffice/internal/httpapi"
)

// pause is a request of one field.
type pause struct {
	Reason string `json:"reason"`
}

// Check asks for a reason.
func (p *pause) Check(c *httpapi.Checks) { c.Text("/reason", p.Reason, 200) }

func Example() {
	keys, err := httpapi.ParseOperatorKeys("ann:sales:a-key-of-sixteen-or-more")
	if err != nil {
		fmt.Println(err)
		return
	}
	handler, err := httpapi.NewHandler(httpapi.Config{Operators: keys, Log: slog.Default()}, []httpapi.Route{{
		Method: "POST", Path: "/shows/{id}/pause", Who: httpapi.Operators(httpapi.RoleSales),
		Handle: func(w http.ResponseWriter, r *http.Request) error {
			id, err := httpapi.PathID(r, "id", "show")
			if err != nil {
				return err
			}
			var body pause
			if err := httpapi.Decode(r, &body); err != nil {
				return err
			}
			return httpapi.JSON(w, http.StatusOK, map[string]any{"showId": id, "reason": body.Reason})
		},
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, body := range []string{`{"reason":"rain"}`, `{"reason":"rain","Reason":"sun"}`} {
		r := httptest.NewRequest(http.MethodPost, "/shows/7/pause", strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer a-key-of-sixteen-or-more")
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("X-Request-Id", "example")
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, r)
		fmt.Println(answer.Code, answer.Body)
	}
	// Output:
	// 200 {"reason":"rain","showId":7}
	// 400 {"type":"/problems/invalid","title":"The request is not valid","status":400,"detail":"/Reason is not known.","instance":"example","code":"invalid","errors":[{"pointer":"/Reason","detail":"is not known"}]}
}
