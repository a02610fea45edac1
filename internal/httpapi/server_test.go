package httpapi_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"boxoffice/internal/httpapi"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve runs a real server for the test and returns its address and what ends it.
func serve(t *testing.T, routes ...httpapi.Route) (address string, end func() error) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	server := httpapi.NewServer("", handlerOf(t, httpapi.Config{}, routes...), slog.New(slog.DiscardHandler))
	done := make(chan error, 1)
	go func() { done <- httpapi.Serve(ctx, server, listener) }()
	ended := false
	end = func() error {
		if ended {
			return nil
		}
		ended = true
		cancel()
		return <-done
	}
	t.Cleanup(func() {
		if err := end(); err != nil {
			t.Error(err)
		}
	})
	return listener.Addr().String(), end
}

func takesAnOrder(w http.ResponseWriter, r *http.Request) error {
	var order ownerOrder
	if err := httpapi.Decode(r, &order); err != nil {
		return err
	}
	return httpapi.OwnerOK(w, map[string]string{"orderId": "ORDER-20250205-338aa78d"})
}

var ticketRoute = httpapi.Route{
	Method: "POST", Path: "/orders/ticket", Who: httpapi.Channel, Format: httpapi.Owner, Handle: takesAnOrder,
}

func TestAnOrderOverTheWire(t *testing.T) {
	t.Parallel()
	address, _ := serve(t, ticketRoute)
	answer, body := exchange(t, address, request(validOrder))
	want := `{"header":{"responseCode":"00","responseMessage":"SUCCESS"},"payload":{"orderId":"ORDER-20250205-338aa78d"}}`
	if answer.StatusCode != http.StatusOK || body != want {
		t.Errorf("got %d %s, want %s", answer.StatusCode, body, want)
	}
}

func TestLargeBodiesAreRefusedOverTheWire(t *testing.T) {
	t.Parallel()
	address, _ := serve(t, ticketRoute)
	large := strings.Replace(validOrder, "QRIS", strings.Repeat("Q", 10<<20), 1)
	chunked := "POST /orders/ticket HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
	chunk := fmt.Sprintf("%x\r\n%s\r\n", 8<<10, strings.Repeat(" ", 8<<10))
	for what, sent := range map[string]string{
		"10 MiB that say so":         request(large),
		"10 MiB that say nothing":    chunked + strings.Repeat(chunk, 1280),
		"a length that can't be":     strings.Replace(request(validOrder), "Content-Length: ", "Content-Length: 99999999", 1),
		"64 KiB and one byte of end": request(strings.Repeat(" ", 64<<10) + "x"),
	} {
		answer, body := exchange(t, address, sent)
		if answer.StatusCode != http.StatusRequestEntityTooLarge || !strings.Contains(body, `"responseCode":"80","responseMessage":"INVALID SIZE"`) {
			t.Errorf("%s: got %d %s", what, answer.StatusCode, body)
		}
	}
	if answer, _ := exchange(t, address, request(validOrder)); answer.StatusCode != http.StatusOK {
		t.Errorf("a good order afterwards: got %d", answer.StatusCode)
	}
}

func TestABodyThatEndsEarlyIsRefused(t *testing.T) {
	t.Parallel()
	address, _ := serve(t, ticketRoute)
	whole := request(validOrder)
	answer, body := exchange(t, address, whole[:len(whole)-10])
	if answer.StatusCode != http.StatusBadRequest || !strings.Contains(body, `"code":"invalid"`) {
		t.Errorf("got %d %s", answer.StatusCode, body)
	}
}

func TestLargeHeadersAreRefused(t *testing.T) {
	t.Parallel()
	address, _ := serve(t, ticketRoute)
	answer, _ := exchange(t, address, "GET / HTTP/1.1\r\nHost: x\r\nX: "+strings.Repeat("x", 32<<10)+"\r\n\r\n")
	if answer.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("got %d, want 431", answer.StatusCode)
	}
}

func TestTheServerHasLimits(t *testing.T) {
	t.Parallel()
	server := httpapi.NewServer(":0", nil, slog.New(slog.DiscardHandler))
	for what, limit := range map[string]time.Duration{
		"header": server.ReadHeaderTimeout, "read": server.ReadTimeout, "write": server.WriteTimeout, "idle": server.IdleTimeout,
	} {
		if limit <= 0 || limit > time.Minute {
			t.Errorf("the %s limit is %s", what, limit)
		}
	}
}

func TestRequestsFinishAndStreamsEndWhenTheServerEnds(t *testing.T) {
	t.Parallel()
	started, release := make(chan struct{}), make(chan struct{})
	address, end := serve(t,
		httpapi.Route{Method: "GET", Path: "/slow", Who: httpapi.Anyone, Handle: func(w http.ResponseWriter, _ *http.Request) error {
			started <- struct{}{}
			<-release
			return httpapi.JSON(w, http.StatusOK, "whole")
		}},
		httpapi.Route{Method: "GET", Path: "/stream", Who: httpapi.Anyone, Stream: true, Handle: func(w http.ResponseWriter, r *http.Request) error {
			events, err := httpapi.StartEvents(w)
			if err != nil {
				return err
			}
			event, err := httpapi.EncodeEvent("order", "3", map[string]any{"status": "PENDING"})
			if err != nil {
				return err
			}
			if err := events.SendEncoded(event); err != nil {
				return err
			}
			if err := events.Heartbeat(); err != nil {
				return err
			}
			started <- struct{}{}
			<-r.Context().Done()
			close(release) // the slow request ends only after the stream was told to
			return nil
		}})
	answers := make(chan string, 2)
	for _, path := range []string{"/slow", "/stream"} {
		go func() {
			_, body, err := roundTrip(address, "GET "+path+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
			answers <- fmt.Sprint(body, err)
		}()
		<-started
	}
	if err := end(); err != nil {
		t.Error(err)
	}
	got := <-answers + <-answers
	if !strings.Contains(got, `"whole"<nil>`) || !strings.Contains(got, "event: order\nid: 3\ndata: {\"status\":\"PENDING\"}\n\n:\n\nretry: ") {
		t.Errorf("got %q", got)
	}
}

func TestServeReportsAListenerThatFails(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	server := httpapi.NewServer("", http.NotFoundHandler(), slog.New(slog.DiscardHandler))
	if err := httpapi.Serve(t.Context(), server, listener); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v, want the listener's error", err)
	}
}

func request(body string) string {
	return fmt.Sprintf("POST /orders/ticket HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

func exchange(t *testing.T, address, sent string) (*http.Response, string) {
	t.Helper()
	answer, body, err := roundTrip(address, sent)
	if err != nil {
		t.Fatal(err)
	}
	return answer, body
}

// roundTrip sends bytes as they are. That the server stops listening to a body it refuses is no error.
func roundTrip(address, sent string) (answer *http.Response, body string, err error) {
	connection, err := net.Dial("tcp", address)
	if err != nil {
		return nil, "", err
	}
	defer func() { err = errors.Join(err, connection.Close()) }()
	if err := connection.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		return nil, "", err
	}
	if _, err := io.WriteString(connection, sent); err == nil && !strings.HasPrefix(sent, "GET") {
		if err := connection.(*net.TCPConn).CloseWrite(); err != nil {
			return nil, "", err
		}
	}
	answer, err = http.ReadResponse(bufio.NewReader(connection), nil)
	if err != nil {
		return nil, "", err
	}
	content, err := io.ReadAll(answer.Body)
	return answer, string(content), err
}
