package eventstore

import (
	"context"
	"database/sql"
	"errors"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"boxoffice/internal/devstack"
)

func TestProgressTellsHowFarTheRelayIs(t *testing.T) {
	t.Parallel()
	db := devstack.Postgres(t).Open(t)
	s := New(db, Config{})
	if p, err := s.Progress(t.Context()); err != nil || p.Head != 0 || p.Unpublished() != 0 || p.Waiting() != 0 || len(p.Checkpoints) != 0 {
		t.Errorf("an empty log is at %+v: %v", p, err)
	}
	begun := time.Now().Add(-time.Hour)
	for i := range 3 {
		head, err := s.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Append(t.Context(), Batch{Head: head, Time: begun.Add(time.Duration(i) * time.Minute), Events: []Event{
			{Stream: "show-1", Version: int64(i) + 1, Type: "X", SchemaVersion: 1, Data: []byte(`{}`), Metadata: []byte(`{}`)},
		}}); err != nil {
			t.Fatal(err)
		}
	}
	mustExec(t, db, `UPDATE checkpoints SET position = 1 WHERE name = 'relay'`)
	mustExec(t, db, `INSERT INTO checkpoints (name, topic, partition, next_offset, position) VALUES ('a', 't', 2, 7, 1)`)
	p, err := s.Progress(t.Context())
	if err != nil || p.Head != 3 || p.Relayed != 1 || p.Unpublished() != 2 || len(p.Checkpoints) != 1 || p.Checkpoints[0].NextOffset != 7 {
		t.Errorf("it is at %+v: %v", p, err)
	}
	if age := p.Waiting(); age < 59*time.Minute || age > 60*time.Minute {
		t.Errorf("the second event has waited for %s", age)
	}
	mustExec(t, db, `UPDATE checkpoints SET position = 3 WHERE name = 'relay'`)
	if p, err := s.Progress(t.Context()); err != nil || p.Unpublished() != 0 || p.Waiting() != 0 {
		t.Errorf("in the end it is at %+v: %v", p, err)
	}
}

func mustExec(t *testing.T, db *sqlx.DB, statement string) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

func TestHorizonNamesWhoHoldsTheOldestSnapshot(t *testing.T) {
	t.Parallel()
	db := devstack.Postgres(t).Open(t)
	s := New(db, Config{})
	if h, err := s.Horizon(t.Context()); err != nil || h.Holder != "" || h.Transactions != 0 || h.Seconds != 0 {
		t.Errorf("nobody holds one, and it says %+v: %v", h, err)
	}
	tx, err := db.BeginTxx(t.Context(), &sql.TxOptions{Isolation: sql.LevelRepeatableRead})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	var pid int
	if err := tx.GetContext(t.Context(), &pid, `SELECT pg_backend_pid()`); err != nil {
		t.Fatal(err)
	}
	mustExec(t, db, `CREATE TABLE later ()`) // one more transaction
	if h, err := s.Horizon(t.Context()); err != nil || h.Transactions < 1 || h.Holder == "" {
		t.Errorf("session %d holds one, and it says %+v: %v", pid, h, err)
	}
}

func TestASessionIsTold(t *testing.T) {
	t.Parallel()
	pg := devstack.Postgres(t)
	db := pg.Open(t)
	if err := CheckSession(t.Context(), db); err != nil {
		t.Errorf("a direct connection: %v", err)
	}
	if err := CheckListen(t.Context(), db, pg.URL); err != nil {
		t.Errorf("a direct connection does not hear: %v", err)
	}
	conns := make([]*sqlx.Conn, 3)
	for i := range conns {
		var err error
		if conns[i], err = db.Connx(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conns[i].Close() })
	}
	pooled := &pooled{servers: conns[:2]}
	if err := keepsSession(t.Context(), pooled, conns[2]); !errors.Is(err, ErrPooled) {
		t.Errorf("a pool in transaction mode: %v", err)
	}
}

// pooled is a connection behind a pool in transaction mode: each statement may run in another session.
type pooled struct {
	servers []*sqlx.Conn
	next    int
}

func (p *pooled) server() *sqlx.Conn {
	p.next++
	return p.servers[p.next%len(p.servers)]
}

func (p *pooled) GetContext(ctx context.Context, into any, query string, args ...any) error {
	return p.server().GetContext(ctx, into, query, args...)
}

func (p *pooled) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	return p.server().ExecContext(ctx, query, args...)
}

func TestDeliveriesThatNameACustomer(t *testing.T) {
	t.Parallel()
	traces := Traces{words: map[string]bool{"u1": true, "Ana@Example.com": true, "Ana K": true, "4711": true}}
	for body, want := range map[string]bool{
		`{"header":{"uName":"u1"}}`:                       true,
		`{"header":{"uName":"\u00751"}}`:                  true,
		`{"header":{"uName":"u10"}}`:                      false,
		`{"header":{"uName":"U1"}}`:                       false,
		`{"payer":["x",{"mail":"<ana@example.COM>"}]}`:    true,
		`{"payer":"Ana K"}`:                               true,
		`{"payer":4711}`:                                  true,
		`{"amount":47110,"paymentId":"PAY-u1","at":null}`: false,
		`u1 is not JSON`:                                  true,
		`nobody`:                                          false,
		``:                                                false,
	} {
		if traces.named([]byte(body)) != want {
			t.Errorf("%s: %v", body, !want)
		}
	}
}
