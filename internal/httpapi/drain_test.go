package httpapi_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"

	"boxoffice/internal/httpapi"
)

func TestADrainServesOnUntilCallersHaveLeft(t *testing.T) {
	t.Parallel()
	const drain = 500 * time.Millisecond
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	draining := func(w http.ResponseWriter, r *http.Request) error {
		return httpapi.JSON(w, http.StatusOK, httpapi.Draining(r.Context()))
	}
	stream := func(w http.ResponseWriter, r *http.Request) error {
		_, err := httpapi.StartEvents(w)
		<-r.Context().Done()
		// A stream that was quiet for a while: the time for its last event is over.
		return errors.Join(err, http.NewResponseController(w).SetWriteDeadline(time.Now().Add(-time.Second)))
	}
	handler := handlerOf(t, httpapi.Config{},
		httpapi.Route{Method: "GET", Path: "/draining", Who: httpapi.Anyone, Handle: draining},
		httpapi.Route{Method: "GET", Path: "/stream", Who: httpapi.Anyone, Stream: true, Handle: stream})
	ctx, end := context.WithCancel(t.Context())
	defer end()
	server := httpapi.NewServer("", handler, slog.New(slog.DiscardHandler))
	done := make(chan error, 1)
	go func() { done <- httpapi.ServeAndDrain(ctx, server, listener, drain) }()

	const ask = "GET /draining HTTP/1.1\r\nHost: x\r\n\r\n"
	address := listener.Addr().String()
	if answer, body := exchange(t, address, ask); answer.Close || body != "false" {
		t.Errorf("before: %t, %s", answer.Close, body)
	}
	begun := time.Now()
	end()
	if answer, body := exchange(t, address, ask); !answer.Close || body != "true" {
		t.Errorf("in the drain: %t, %s", answer.Close, body)
	}
	if answer, body := exchange(t, address, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n"); answer.StatusCode != http.StatusOK || len(body) < len("retry: 500\n\n") || body[:7] != "retry: " {
		t.Errorf("a stream in the drain: %d %q", answer.StatusCode, body)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if took := time.Since(begun); took < drain {
		t.Errorf("it ended after %s", took)
	}
	if _, _, err := roundTrip(address, ask); err == nil {
		t.Error("it still answers")
	}
}
