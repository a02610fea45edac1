package projections

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"boxoffice/internal/httpapi"
)

// liveSite is a site that is asked over real connections.
type liveSite struct {
	*site
	operators *httpapi.OperatorKeys
	url       string
	http      *http.Client
	end       func() // shuts it down and waits until it has ended
}

func newLiveSite(t *testing.T) *liveSite {
	t.Helper()
	s := &liveSite{site: newSite(t), http: &http.Client{Transport: &http.Transport{}}}
	var err error
	if s.operators, err = httpapi.ParseOperatorKeys("ann:read:" + operatorKey); err != nil {
		t.Fatal(err)
	}
	if s.handler, err = httpapi.NewHandler(httpapi.Config{Operators: s.operators}, s.queries.Routes()); err != nil {
		t.Fatal(err)
	}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.url = "http://" + listener.Addr().String()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	server := httpapi.NewServer("", s.handler, slog.New(slog.DiscardHandler))
	go func() { done <- httpapi.Serve(ctx, server, listener) }()
	s.end = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		s.http.CloseIdleConnections()
	})
	t.Cleanup(s.end)
	return s
}

// event is one event of a stream.
type event struct{ name, id, data string }

// reader is a caller who follows a stream.
type reader struct {
	answer *http.Response
	events chan event   // closed at the stream's end
	beats  atomic.Int64 // comments
	leave  func()       // and wait until nothing is left of it
}

// ask sends a request for a stream, with headers given as pairs of name and value.
func (s *liveSite) ask(ctx context.Context, method, path string, headers ...string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, s.url+path, nil)
	if err != nil {
		return nil, err
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	return s.http.Do(request)
}

// refused is the answer to a request for a stream that must not begin.
func (s *liveSite) refused(t *testing.T, path string, headers ...string) (status int, body string, header http.Header) {
	t.Helper()
	answer, err := s.ask(t.Context(), http.MethodGet, path, headers...)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode == http.StatusOK {
		t.Fatalf("%s began", path)
	}
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(text), answer.Header
}

// follow opens a stream, which must begin.
func (s *liveSite) follow(t *testing.T, path string, headers ...string) *reader {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	answer, err := s.ask(ctx, http.MethodGet, path, headers...)
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	if answer.StatusCode != http.StatusOK || answer.Header.Get("Content-Type") != "text/event-stream" || answer.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%s: %d %v", path, answer.StatusCode, answer.Header)
	}
	r := &reader{answer: answer, events: make(chan event, 1000)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.read()
	}()
	r.leave = sync.OnceFunc(func() {
		cancel()
		<-ended
	})
	t.Cleanup(r.leave)
	return r
}

func (r *reader) read() {
	defer close(r.events)
	defer func() { _ = r.answer.Body.Close() }()
	lines := bufio.NewScanner(r.answer.Body)
	var e event
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ": ")
		switch name {
		case "event":
			e.name = value
		case "id":
			e.id = value
		case "data":
			e.data = value
		case ":":
			r.beats.Add(1)
		case "":
			if e != (event{}) {
				r.events <- e
			}
			e = event{}
		}
	}
}

// next is the next event, which must come.
func (r *reader) next(t testing.TB) event {
	t.Helper()
	select {
	case e, ok := <-r.events:
		if !ok {
			t.Fatal("the stream ended")
		}
		return e
	case <-time.After(10 * time.Second):
		t.Fatal("no event came")
	}
	return event{}
}

// quiet waits until some comments have come and no event with them.
func (r *reader) quiet(t testing.TB) {
	t.Helper()
	before := r.beats.Load()
	eventually(t, func() bool { return r.beats.Load() > before+2 })
	select {
	case e := <-r.events:
		t.Errorf("%+v came", e)
	default:
	}
}

// stuckWriter is a caller who accepts the first event and no other until it is released, and is gone then.
type stuckWriter struct {
	header  http.Header
	stuck   chan struct{} // told when it does not accept
	release chan struct{}
	events  int
}

func (w *stuckWriter) Header() http.Header              { return w.header }
func (w *stuckWriter) WriteHeader(int)                  {}
func (w *stuckWriter) Flush()                           {}
func (w *stuckWriter) SetReadDeadline(time.Time) error  { return nil }
func (w *stuckWriter) SetWriteDeadline(time.Time) error { return nil }

func (w *stuckWriter) Write(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	if w.events++; w.events == 1 {
		return len(b), nil
	}
	w.stuck <- struct{}{}
	<-w.release
	return 0, errors.New("too slow")
}

// counted counts the queries of a feed; it must be called before anybody watches.
func counted[T any](f *feed[T]) *atomic.Int64 {
	var n atomic.Int64
	s := f.source
	f.source.versions = func(ctx context.Context, keys []string) (map[string]int64, error) {
		n.Add(1)
		return s.versions(ctx, keys)
	}
	f.source.load = func(ctx context.Context, keys []string) (map[string]seen[T], error) {
		n.Add(1)
		return s.load(ctx, keys)
	}
	return &n
}
