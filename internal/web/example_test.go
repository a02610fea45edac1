package web_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"

	"boxoffice/internal/httpapi"
	"boxoffice/internal/web"
)

func Example() {
	routes := web.Routes(web.Config{
		Shows:  func(context.Context) ([]web.Show, error) { return nil, nil },
		Checks: []web.Check{{Name: "postgres", Required: true, Run: func(context.Context) error { return nil }}},
		Log:    slog.Default(),
	})
	handler, err := httpapi.NewHandler(httpapi.Config{Log: slog.Default()}, routes)
	if err != nil {
		fmt.Println(err)
		return
	}
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/readyz", nil))
	fmt.Println(answer.Code, answer.Body)
	// Output: 200 {"ready":true,"checks":{"postgres":"ok"}}
}
