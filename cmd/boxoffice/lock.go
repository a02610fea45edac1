package main

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/jmoiron/sqlx"
)

// lock is an advisory lock of Postgres for what only one process may do at a time.
type lock struct {
	key  int64  // of the lock, among those of the database
	name string // of the command that takes it, as others are told
	does string // what its holder does, as others are told
}

// sessionOfLock names a session and lets it live as long as its process and no longer: the server may end idle
// sessions, and this one has little to do, but must not hold its lock for hours when its machine is gone.
const sessionOfLock = `SELECT set_config('application_name', $1, false), set_config('idle_session_timeout', '0', false),
	set_config('tcp_keepalives_idle', '10', false), set_config('tcp_keepalives_interval', '5', false), set_config('tcp_keepalives_count', '3', false)`

// heldError says that somebody else does just now what only one may do at a time.
type heldError struct{ holder, does string }

func (h *heldError) Error() string { return h.holder + " " + h.does }

// lockSession takes a lock with a session of its own, which holds it until both it and the pool are closed: what
// the caller does in this session is done by the holder of the lock or fails. Errors: *heldError, faults of the server.
func lockSession(ctx context.Context, db *sqlx.DB, l lock, hostname string) (_ *sqlx.Conn, err error) {
	session, err := db.Connx(ctx)
	if err != nil {
		return nil, fmt.Errorf("take the lock of %s: %w", l.name, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, session.Close())
		}
	}()
	// Others see the name of the session that holds the lock; Postgres cuts it at 63 bytes.
	name := fmt.Sprintf("process %d on %s (%s)", os.Getpid(), cmp.Or(hostname, "an unnamed host"), l.name)
	if _, err := session.ExecContext(ctx, sessionOfLock, name); err != nil {
		return nil, fmt.Errorf("name the session: %w", err)
	}
	var got bool
	if err := session.GetContext(ctx, &got, `SELECT pg_try_advisory_lock($1)`, l.key); err != nil {
		return nil, fmt.Errorf("take the lock of %s: %w", l.name, err)
	}
	if got {
		return session, nil
	}
	return nil, l.holder(ctx, session)
}

// holder says who holds the lock. Errors: *heldError, which is the answer; faults of the server.
func (l lock) holder(ctx context.Context, session *sqlx.Conn) error {
	var holder struct {
		Name  string       `db:"name"`
		Begun sql.NullTime `db:"begun"` // of another role's session it is hidden
	}
	err := session.GetContext(ctx, &holder, `SELECT coalesce(nullif(a.application_name, ''), 'session ' || a.pid) AS name, a.backend_start AS begun
		FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid
		WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
		AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
		AND l.classid = ($1::bigint >> 32)::bigint::oid AND l.objid = ($1::bigint & 4294967295)::bigint::oid`, l.key)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return &heldError{"somebody who has just ended", "held the lock of " + l.name}
	case err != nil:
		return fmt.Errorf("look who holds the lock of %s: %w", l.name, err)
	case !holder.Begun.Valid:
		return &heldError{holder.Name, l.does}
	}
	return &heldError{holder.Name, l.does + " since " + holder.Begun.Time.UTC().Format(time.TimeOnly) + " UTC"}
}
