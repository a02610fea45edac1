package projections

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"boxoffice/domain"
	"boxoffice/eventstore"
	"boxoffice/internal/httpapi"
)

const beat = 20 * time.Millisecond // of a quiet stream in tests

// wantEvent compares an event with what a plain GET answers now.
func wantEvent(t *testing.T, got event, name, id string, answer *httptest.ResponseRecorder) {
	t.Helper()
	if want := (event{name, id, answer.Body.String()}); got != want {
		t.Errorf("came\n%+v\nwant\n%+v", got, want)
	}
}

func TestTheStreamOfAnOrder(t *testing.T) {
	t.Parallel()
	s, id := newLiveSite(t), orderNumber(1)
	path, token := "/orders/"+id, s.secrets.OrderToken(id)
	contact := &eventstore.Contact{CustomerRef: "ref", CustomerID: "u1", Email: "u1@example.com", Name: "Una"}
	s.project(t, s.appendFor(t, contact, placed(id, 2))...)
	callers := map[string][]string{
		"a stranger":            nil,
		"another order's buyer": {"Order-Token", s.secrets.OrderToken(orderNumber(2))},
		"its buyer":             {"Order-Token", token},
		"an operator":           {"Authorization", "Bearer " + operatorKey},
	}
	readers := map[string]*reader{}
	for who, headers := range callers {
		readers[who] = s.follow(t, path+"/events", headers...)
	}
	for version, ev := range []domain.Event{nil, confirmed(id), completed(id, 2)} {
		if ev != nil {
			s.happens(t, ev)
		}
		for who, headers := range callers {
			got := readers[who].next(t)
			wantEvent(t, got, "order", strconv.Itoa(version+1), s.get(t, path, headers...))
			if secret := strings.Contains(got.data, "u1@example.com"); secret != (who == "its buyer" || who == "an operator") {
				t.Errorf("%s was told %s", who, got.data)
			}
		}
	}
	status, _, _ := s.refused(t, path+"/events", "Authorization", "Bearer wrong")
	if status != http.StatusUnauthorized {
		t.Errorf("a wrong operator key got %d", status)
	}
}

func TestTheStreamOfAvailability(t *testing.T) {
	t.Parallel()
	s := newLiveSite(t)
	path := "/shows/7/availability"
	s.happens(t, created(7, 10))
	r := s.follow(t, path+"/events")
	wantEvent(t, r.next(t), "availability", "1", s.get(t, path))
	s.happens(t, held(7, totals(10, 2, 0)))
	wantEvent(t, r.next(t), "availability", "2", s.get(t, path))
	s.happens(t, sold(7, totals(10, 0, 2)))
	wantEvent(t, r.next(t), "availability", "3", s.get(t, path))
}

func TestAStreamGoesOnWhereItEnded(t *testing.T) {
	t.Parallel()
	s, id := newLiveSite(t), orderNumber(1)
	s.queries.heartbeat = beat
	path := "/orders/" + id + "/events"
	s.happens(t, placed(id, 1), confirmed(id))
	r := s.follow(t, path)
	last := r.next(t).id
	r.leave()
	t.Run("what has been seen is not sent again", func(t *testing.T) {
		again := s.follow(t, path, "Last-Event-ID", last)
		again.quiet(t)
		s.happens(t, completed(id, 1))
		if e := again.next(t); e.id != "3" {
			t.Errorf("came %+v", e)
		}
	})
	t.Run("what was missed is", func(t *testing.T) {
		for _, seen := range []string{last, "0", "1", ""} {
			again := s.follow(t, path, "Last-Event-ID", seen)
			if e := again.next(t); e.id != "3" || !strings.Contains(e.data, "COMPLETED") {
				t.Errorf("after %q came %+v", seen, e)
			}
			again.leave()
		}
	})
	t.Run("who is ahead of the read model waits, and never goes back", func(t *testing.T) {
		ahead := s.follow(t, path, "Last-Event-ID", "4")
		ahead.quiet(t)
		s.happens(t, canceled(id, domain.Completed, domain.ReasonOperator))
		eventually(t, func() bool { return s.order(t, id).Version == 4 })
		ahead.quiet(t)
		s.happens(t, refunded(id, 1, domain.RefundDue, price))
		if e := ahead.next(t); e.id != "5" {
			t.Errorf("came %+v", e)
		}
	})
	t.Run("an id that can't be one is refused by name", func(t *testing.T) {
		for _, bad := range []string{"x", "-1", "1.5", "+1", "1 2", "99999999999999999999", "order"} {
			if status, body, _ := s.refused(t, path, "Last-Event-ID", bad); status != http.StatusBadRequest || !strings.Contains(body, `"header":"Last-Event-ID"`) {
				t.Errorf("%q got %d %s", bad, status, body)
			}
		}
	})
}

func TestStreamsThatDoNotBegin(t *testing.T) {
	t.Parallel()
	s, id := newLiveSite(t), orderNumber(1)
	s.happens(t, created(7, 10))
	t.Run("of what there is not", func(t *testing.T) {
		begun := time.Now()
		for _, path := range []string{
			"/orders/" + id + "/events", "/orders/x/events", "/shows/8/availability/events", "/shows/x/availability/events",
		} {
			if status, body, _ := s.refused(t, path); status != http.StatusNotFound || !strings.Contains(body, "not_found") {
				t.Errorf("%s got %d %s", path, status, body)
			}
		}
		if took := time.Since(begun); took >= maxWait {
			t.Errorf("that took %s", took)
		}
	})
	t.Run("that ask for something that is not known", func(t *testing.T) {
		if status, body, _ := s.refused(t, "/shows/7/availability/events?at=2025-02-05T12:00:00Z"); status != http.StatusBadRequest || !strings.Contains(body, "at") {
			t.Errorf("got %d %s", status, body)
		}
	})
	t.Run("because there are too many", func(t *testing.T) {
		s.queries.streams = make(places, 1)
		r := s.follow(t, "/shows/7/availability/events")
		r.next(t)
		if s.queries.Streams() != 1 {
			t.Errorf("%d are open", s.queries.Streams())
		}
		status, body, header := s.refused(t, "/shows/7/availability/events")
		if status != http.StatusServiceUnavailable || !strings.Contains(body, `"code":"overloaded"`) || header.Get("Retry-After") == "" {
			t.Errorf("got %d %s %v", status, body, header)
		}
		r.leave()
		eventually(t, func() bool { return s.queries.Streams() == 0 })
		s.follow(t, "/shows/7/availability/events").next(t)
	})
}

func TestAStreamOfWhatIsNotVisibleYet(t *testing.T) {
	t.Parallel()
	s, id := newLiveSite(t), orderNumber(1)
	events := s.append(t, placed(id, 1))
	t.Run("ends with not found if it does not become so", func(t *testing.T) {
		begun := time.Now()
		if status, _, _ := s.refused(t, "/orders/"+id+"/events"); status != http.StatusNotFound || time.Since(begun) < maxWait {
			t.Errorf("got %d after %s", status, time.Since(begun))
		}
	})
	t.Run("begins when it is", func(t *testing.T) {
		asked := make(chan struct{})
		go func() {
			defer close(asked)
			eventually(t, func() bool { return s.queries.Streams() == 1 })
			s.project(t, events...)
		}()
		if e := s.follow(t, "/orders/"+id+"/events").next(t); e.id != "1" {
			t.Errorf("came %+v", e)
		}
		<-asked
	})
}

func TestHeadOfAStreamEnds(t *testing.T) {
	t.Parallel()
	s := newLiveSite(t)
	s.happens(t, created(7, 10))
	for path, want := range map[string]int{"/shows/7/availability/events": http.StatusOK, "/shows/8/availability/events": http.StatusNotFound} {
		answer, err := s.ask(t.Context(), http.MethodHead, path)
		if err != nil {
			t.Fatal(err)
		}
		if err := answer.Body.Close(); err != nil {
			t.Error(err)
		}
		if answer.StatusCode != want || want == http.StatusOK && answer.Header.Get("Content-Type") != "text/event-stream" {
			t.Errorf("%s: %d %v", path, answer.StatusCode, answer.Header)
		}
	}
}

// It counts goroutines, so it is not parallel.
func TestStreamsEndWithTheServerAndLeaveNothingBehind(t *testing.T) {
	s := newLiveSite(t)
	s.happens(t, created(7, 10), placed(orderNumber(1), 1))
	before := goleak.IgnoreCurrent()
	var readers []*reader
	for range 5 {
		readers = append(readers, s.follow(t, "/shows/7/availability/events"), s.follow(t, "/orders/"+orderNumber(1)+"/events"))
	}
	for _, r := range readers {
		r.next(t)
	}
	begun := time.Now()
	s.end()
	for _, r := range readers {
		for range r.events {
			t.Error("one more event")
		}
		r.leave()
	}
	if took := time.Since(begun); took > time.Second {
		t.Errorf("that took %s", took)
	}
	if s.queries.Streams() != 0 || s.queries.shows.looking != nil || s.queries.orders.looking != nil {
		t.Error("somebody still looks")
	}
	goleak.VerifyNone(t, before)
}

func TestEventsAreWhatTheyAreOnTheWire(t *testing.T) {
	t.Parallel()
	s := newLiveSite(t)
	s.queries.heartbeat = beat
	s.happens(t, created(7, 10))
	answer, err := s.ask(t.Context(), http.MethodGet, "/shows/7/availability/events")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	want := fmt.Sprintf("event: availability\nid: 1\ndata: %s\n\n:\n\n", s.get(t, "/shows/7/availability").Body)
	got := make([]byte, len(want))
	for n := 0; n < len(got); {
		more, err := answer.Body.Read(got[n:])
		if err != nil {
			t.Fatalf("%v after %q", err, got[:n])
		}
		n += more
	}
	if string(got) != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if httpapi.HeartbeatEvery != 15*time.Second {
		t.Errorf("a quiet stream has a comment every %s", httpapi.HeartbeatEvery)
	}
}

func TestAnOperatorWhoseKeyIsTakenBackIsShownNothingMore(t *testing.T) {
	t.Parallel()
	s, id := newLiveSite(t), orderNumber(1)
	s.queries.heartbeat = beat
	file := filepath.Join(t.TempDir(), "keys")
	write := func(content string) {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("ann:read:" + operatorKey)
	var watching sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	watching.Go(func() {
		if err := s.operators.Watch(ctx, file, slog.New(slog.DiscardHandler)); err != nil {
			t.Error(err)
		}
	})
	s.happens(t, placed(id, 1))
	operator := s.follow(t, "/orders/"+id+"/events", "Authorization", "Bearer "+operatorKey)
	buyer := s.follow(t, "/orders/"+id+"/events", "Order-Token", s.secrets.OrderToken(id))
	operator.next(t)
	buyer.next(t)
	write("bob:read:the-key-of-another-operator")
	if e, ok := <-operator.events; ok {
		t.Errorf("it was shown %+v", e)
	}
	buyer.quiet(t)
	cancel()
	watching.Wait()
}
