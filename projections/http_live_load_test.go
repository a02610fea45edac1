package projections

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"
)

func TestAStreamHasAtMostTenStatesASecondAndTheNewestAlways(t *testing.T) {
	t.Parallel()
	s := newLiveSite(t)
	s.happens(t, created(7, 1000))
	r := s.follow(t, "/shows/7/availability/events")
	r.next(t)
	begun := time.Now()
	const changes = 200
	load := time.NewTicker(5 * time.Millisecond)
	defer load.Stop()
	for n := range changes {
		<-load.C
		s.happensInRow(t, 7, int64(n)+2)
		if n%20 == 0 { // whoever comes has the show looked at, which is no event more for the others
			s.follow(t, "/shows/7/availability/events").next(t)
		}
	}
	last, events := int64(1), 0
	for last < changes+1 {
		version, err := strconv.ParseInt(r.next(t).id, 10, 64)
		if err != nil || version <= last {
			t.Fatalf("%d came after %d, %v", version, last, err)
		}
		last, events = version, events+1
	}
	took := time.Since(begun)
	if limit := int(took/lookEvery) + 1; events > limit || events < limit/2 {
		t.Errorf("%d events in %s", events, took)
	}
	t.Logf("%d changes in %s: %d events", changes, took.Round(time.Millisecond), events)
}

// happensInRow moves a show's row to a version, faster than events would.
func (s *liveSite) happensInRow(t *testing.T, show, version int64) {
	t.Helper()
	if _, err := s.db.ExecContext(t.Context(), `UPDATE shows SET version = $2 WHERE show_id = $1`, show, version); err != nil {
		t.Fatal(err)
	}
}

func TestManyStreamsOfAShowCostTheQueriesOfOne(t *testing.T) {
	t.Parallel()
	s := newLiveSite(t)
	queries := counted(s.queries.shows)
	s.happens(t, created(7, 1000))
	const streams = 500
	readers := make([]*reader, streams)
	for i := range readers {
		readers[i] = s.follow(t, "/shows/7/availability/events")
		readers[i].next(t)
	}
	begun, before := time.Now(), queries.Load()
	version := int64(1)
	for time.Since(begun) < time.Second { // this is the measured time, not a way to wait for something
		version++
		s.happensInRow(t, 7, version)
		for _, r := range readers {
			for r.next(t).id != strconv.FormatInt(version, 10) {
				continue
			}
		}
	}
	took, n := time.Since(begun), queries.Load()-before
	t.Logf("%d streams, %d changes seen by all in %s: %d queries", streams, version-1, took.Round(time.Millisecond), n)
	if limit := int64(took/lookEvery) + version + 1; n > limit { // each change is looked at and then loaded
		t.Errorf("%d queries in %s, at most %d were to be", n, took, limit)
	}
}

func TestManyWaitingReadsAreOneWhoLooks(t *testing.T) {
	t.Parallel()
	s, id := newSite(t), orderNumber(1)
	s.db.SetMaxOpenConns(8)
	queries := counted(s.queries.orders)
	events := s.append(t, placed(id, 1))
	const reads = 1000
	var waiting sync.WaitGroup
	for range reads {
		waiting.Go(func() {
			answer := s.get(t, "/orders/"+id+"?version=1")
			if answer.Code != http.StatusOK || answer.Header().Get("Stale") != "" {
				t.Errorf("got %d %v", answer.Code, answer.Header())
			}
		})
	}
	begun := time.Now()
	eventually(t, func() bool { return len(s.queries.waiters) == reads })
	s.project(t, events...)
	waiting.Wait()
	took, n := time.Since(begun), queries.Load()
	t.Logf("%d waiting reads in %s: %d queries", reads, took.Round(time.Millisecond), n)
	if limit := int64(took/leastGap) + 10; n > limit || n > reads {
		t.Errorf("%d queries in %s", n, took)
	}
}

func TestACallerWhoDoesNotAcceptHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	s := newLiveSite(t)
	s.happens(t, created(7, 1000))
	path := "/shows/7/availability/events"
	stuck := &stuckWriter{header: http.Header{}, stuck: make(chan struct{}, 1), release: make(chan struct{})}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.handler.ServeHTTP(stuck, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	}()
	r := s.follow(t, path)
	r.next(t)
	for version := int64(2); version < 6; version++ {
		s.happensInRow(t, 7, version)
		if e := r.next(t); e.id != strconv.FormatInt(version, 10) {
			t.Errorf("came %+v at %d", e, version)
		}
	}
	<-stuck.stuck
	close(stuck.release) // as the write limit would
	<-ended
	eventually(t, func() bool { return s.queries.Streams() == 1 })
}
