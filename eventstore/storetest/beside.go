package storetest

import (
	"database/sql"
	"fmt"
	"sync"
	"testing"
	"time"

	"boxoffice/eventstore"
)

func testAppendOnly(t *testing.T, b Backend) {
	url := b.Database(t)
	s, db := open(t, url), query(t, url)
	appendTo(t, s, event("show-1", 1))
	for _, statement := range []string{
		`UPDATE events SET data = '{}' WHERE position = 1`,
		`UPDATE events SET position = 2 WHERE position = 99`,
		`DELETE FROM events`,
		`DELETE FROM events WHERE position = 99`,
		`TRUNCATE events`,
		`TRUNCATE events, contacts CASCADE`,
		`SET session_replication_role = replica; DELETE FROM events`,
		`INSERT INTO events (position, stream, version, type, schema_version, data, metadata, recorded_at)
			SELECT position, stream, version, type, schema_version, '{}', metadata, recorded_at FROM events
			ON CONFLICT (position) DO UPDATE SET data = excluded.data`,
	} {
		t.Run("the database refuses "+statement[:6]+": "+statement, func(t *testing.T) {
			if _, err := db.ExecContext(t.Context(), statement); err == nil {
				t.Error("it was executed")
			}
			_, err := db.ExecContext(t.Context(), `RESET session_replication_role`)
			wantNone(t, err)
			if log := wantWhole(t, s); len(log) != 1 {
				t.Errorf("%d events, want 1", len(log))
			}
		})
	}
}

func testBeside(t *testing.T, b Backend) {
	url := b.Database(t)
	s, db := open(t, url), query(t, url)
	now := s.Now()
	in := batch(s, headOf(t, s), event("order-1", 1), event("order-2", 1), event("payment-1", 1))
	in.Contacts = []eventstore.Contact{
		{Index: 1, CustomerRef: "ref-2", CustomerID: "u2", Email: "u2@example.com", Name: "Ünal \"2\""},
		{Index: 0, CustomerRef: "ref-1", CustomerID: "u1"},
	}
	in.Due = []eventstore.Due{{ShowID: 1, At: now.Add(time.Minute)}, {ShowID: 2, At: now}}
	in.Deliveries = []eventstore.Delivery{
		{Index: 2, Gateway: "simulator", DeliveryID: "d1", ReceivedAt: now, Body: []byte{0, 1, 0xff}},
		{Index: 2, Gateway: "simulator", DeliveryID: "d2", ReceivedAt: now, Body: []byte{}},
	}
	head, err := s.Append(t.Context(), in)
	wantNone(t, err)

	t.Run("contacts stand at the positions of their events", func(t *testing.T) {
		found, err := s.Contacts(t.Context(), []int64{1, 2, 3})
		wantNone(t, err)
		if len(found) != 2 || found[1].CustomerID != "u1" || found[2].Name != `Ünal "2"` || found[2].Email != "u2@example.com" || found[2].CustomerRef != "ref-2" {
			t.Errorf("found %+v", found)
		}
	})
	t.Run("deliveries stand at the position of the event that judged them, as they came", func(t *testing.T) {
		if n := count(t, db, `SELECT count(*) FROM deliveries WHERE position = 3 AND gateway = 'simulator' AND received_at = $1`, now); n != 2 {
			t.Errorf("%d deliveries, want 2", n)
		}
		if n := count(t, db, `SELECT count(*) FROM deliveries WHERE delivery_id = 'd1' AND body = '\x0001ff'`); n != 1 {
			t.Error("the first one's body is another")
		}
	})
	t.Run("due is stored, replaced and removed", func(t *testing.T) { testDue(t, s, db, head, now) })
	t.Run("a fenced batch leaves nothing in any table", func(t *testing.T) {
		before := tables(t, db)
		in.Head, in.Events = eventstore.Head{}, []eventstore.Event{event("order-9", 1), event("order-8", 1), event("order-7", 1)}
		in.Due = []eventstore.Due{{ShowID: 9, At: now}, {ShowID: 1}}
		_, err := s.Append(t.Context(), in)
		wantError(t, err, eventstore.ErrFenced)
		if now := tables(t, db); now != before {
			t.Errorf("tables were %s and are %s", before, now)
		}
	})
	t.Run("a refused batch leaves nothing in any table", func(t *testing.T) {
		before := tables(t, db)
		in.Head, in.Time = headOf(t, s), s.Now()
		in.Events = []eventstore.Event{event("order-9", 1), event("order-8", 1), event("payment-1", 1)}
		_, err := s.Append(t.Context(), in)
		wantError(t, err, eventstore.ErrRefused)
		if now := tables(t, db); now != before {
			t.Errorf("tables were %s and are %s", before, now)
		}
	})
	t.Run("the customer key is made once and has 32 bytes", func(t *testing.T) {
		key, err := s.CustomerKey(t.Context())
		wantNone(t, err)
		again, err := open(t, url).CustomerKey(t.Context())
		wantNone(t, err)
		if len(key) != 32 || string(key) != string(again) {
			t.Errorf("keys are %x and %x", key, again)
		}
	})
}

// tables tells how much is in the tables an append writes.
func tables(t *testing.T, db *sql.DB) string {
	t.Helper()
	return fmt.Sprint(
		count(t, db, `SELECT count(*) FROM events`), count(t, db, `SELECT count(*) FROM contacts`),
		count(t, db, `SELECT count(*) FROM deliveries`), count(t, db, `SELECT count(*) FROM due WHERE show_id IN (1, 2, 9)`))
}

func testDue(t *testing.T, s *eventstore.Store, db *sql.DB, head eventstore.Head, now time.Time) {
	due := func(at time.Time, limit int, want ...int64) {
		t.Helper()
		shows, err := s.DueShows(t.Context(), at, limit)
		wantNone(t, err)
		if fmt.Sprint(shows) != fmt.Sprint(want) {
			t.Errorf("due at %s: %v, want %v", at, shows, want)
		}
	}
	due(now.Add(-time.Microsecond), 10)
	due(now, 10, 2)
	due(now.Add(time.Minute), 10, 2, 1)
	due(now.Add(time.Minute), 1, 2)
	in := batch(s, head, event("show-1", 1))
	in.Due = []eventstore.Due{{ShowID: 2}, {ShowID: 1, At: now.Add(2 * time.Minute)}, {ShowID: 77}}
	next, err := s.Append(t.Context(), in)
	wantNone(t, err)
	due(now.Add(time.Hour), 10, 1)

	change := []eventstore.Due{{ShowID: 3, At: now}, {ShowID: 1}}
	wantError(t, s.SetDue(t.Context(), head, change), eventstore.ErrFenced)
	due(now.Add(time.Hour), 10, 1)
	wantNone(t, s.SetDue(t.Context(), next, change))
	wantNone(t, s.SetDue(t.Context(), next, change))
	found, err := s.LoadDue(t.Context(), []int64{1, 2, 3})
	wantNone(t, err)
	if len(found) != 1 || !found[3].Equal(now) {
		t.Errorf("due is %v", found)
	}
	wantNone(t, s.SetDue(t.Context(), next, []eventstore.Due{{ShowID: 3}, {ShowID: 1, At: now}}))
	if n := count(t, db, `SELECT count(*) FROM due`); n != 1 {
		t.Errorf("%d rows, want 1", n)
	}
}

func testOrderIDs(t *testing.T, b Backend) {
	url := b.Database(t)
	day := time.Date(2026, 11, 22, 23, 30, 0, 0, time.FixedZone("", -3600)) // the 23rd in UTC
	t.Run("leases of several processes never overlap", func(t *testing.T) {
		var leasing sync.WaitGroup
		var mu sync.Mutex
		taken := map[uint32]bool{}
		for range 4 {
			s := open(t, url)
			leasing.Go(func() {
				for n := uint32(1); n <= 10; n++ {
					first, err := s.LeaseOrderIDs(t.Context(), day, n)
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					for id := first; id < first+n; id++ {
						if taken[id] || id == 0 {
							t.Errorf("id %d was leased already", id)
						}
						taken[id] = true
					}
					mu.Unlock()
				}
			})
		}
		leasing.Wait()
		if len(taken) != 4*55 {
			t.Errorf("%d ids, want %d", len(taken), 4*55)
		}
	})
	t.Run("every day in UTC counts for itself", func(t *testing.T) {
		s := open(t, url)
		for _, c := range []struct {
			at    time.Time
			first uint32
		}{
			{time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC), 221},
			{time.Date(2026, 11, 22, 23, 59, 59, 0, time.UTC), 1},
		} {
			first, err := s.LeaseOrderIDs(t.Context(), c.at, 5)
			wantNone(t, err)
			if first != c.first {
				t.Errorf("first id of %s is %d, want %d", c.at, first, c.first)
			}
		}
	})
	t.Run("a day runs out instead of starting over", func(t *testing.T) {
		s := open(t, url)
		full := day.AddDate(0, 0, 7)
		first, err := s.LeaseOrderIDs(t.Context(), full, 1<<32-1)
		wantNone(t, err)
		if first != 1 {
			t.Errorf("first id is %d", first)
		}
		if _, err := s.LeaseOrderIDs(t.Context(), full, 1); err == nil {
			t.Error("an id beyond 32 bits was leased")
		}
	})
}

func testSnapshots(t *testing.T, b Backend) {
	s := open(t, b.Database(t))
	newer := eventstore.Snapshot{Stream: "show-1", Version: 7, Position: 20, Format: 1, Data: []byte{0, 1, 2}}
	older := eventstore.Snapshot{Stream: "show-1", Version: 3, Position: 9, Format: 1, Data: []byte("old")}
	load := func(format int) (eventstore.Snapshot, bool) {
		t.Helper()
		snapshot, ok, err := s.LoadSnapshot(t.Context(), "show-1", format)
		wantNone(t, err)
		return snapshot, ok
	}
	t.Run("what was saved is loaded, and an older one does not replace it", func(t *testing.T) {
		if _, ok := load(1); ok {
			t.Error("there is one before any was saved")
		}
		for _, snapshot := range []eventstore.Snapshot{older, newer, older} {
			wantNone(t, s.SaveSnapshot(t.Context(), snapshot))
		}
		if got, ok := load(1); !ok || got.Version != 7 || got.Position != 20 || string(got.Data) != string(newer.Data) {
			t.Errorf("loaded %+v", got)
		}
	})
	t.Run("another format's snapshot is not there", func(t *testing.T) {
		if _, ok := load(2); ok {
			t.Error("format 1 was loaded as format 2")
		}
		wantNone(t, s.SaveSnapshot(t.Context(), eventstore.Snapshot{Stream: "show-1", Version: 2, Position: 8, Format: 2}))
		if got, ok := load(2); !ok || got.Version != 2 || len(got.Data) != 0 {
			t.Errorf("loaded %+v", got)
		}
	})
}
