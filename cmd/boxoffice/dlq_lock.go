package main

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"time"
)

// dlqLock is the advisory lock of whoever retries or discards ("boxodlq"): two at once would send a letter twice.
const dlqLock = int64(0x626f786f646c71)

// heldError says that somebody else does just now what only one may do at a time.
type heldError struct{ holder, does string }

func (h *heldError) Error() string { return h.holder + " " + h.does }

// lock makes this process the only one that changes what stands aside, until the depot is closed. Errors:
// *heldError, faults of the server.
func (d *depot) lock(ctx context.Context, hostname string) (err error) {
	if d.locked, err = d.db.Connx(ctx); err != nil {
		return fmt.Errorf("lock what stands aside: %w", err)
	}
	// Others see the name of the session that holds the lock; Postgres cuts it at 63 bytes.
	name := fmt.Sprintf("process %d on %s (boxoffice dlq)", os.Getpid(), cmp.Or(hostname, "an unnamed host"))
	if _, err := d.locked.ExecContext(ctx, `SELECT set_config('application_name', $1, false)`, name); err != nil {
		return fmt.Errorf("name the session: %w", err)
	}
	var got bool
	if err := d.locked.GetContext(ctx, &got, `SELECT pg_try_advisory_lock($1)`, dlqLock); err != nil {
		return fmt.Errorf("lock what stands aside: %w", err)
	}
	if got {
		return nil
	}
	var holder struct {
		Name  string    `db:"name"`
		Begun time.Time `db:"begun"`
	}
	err = d.locked.GetContext(ctx, &holder, `SELECT coalesce(nullif(a.application_name, ''), 'session ' || a.pid) AS name, a.backend_start AS begun
		FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid
		WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
		AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
		AND l.classid = ($1::bigint >> 32)::bigint::oid AND l.objid = ($1::bigint & 4294967295)::bigint::oid`, dlqLock)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return &heldError{"somebody who has just ended", "retried or discarded"}
	case err != nil:
		return fmt.Errorf("look who holds the lock: %w", err)
	}
	return &heldError{holder.Name, "retries or discards since " + holder.Begun.UTC().Format(time.TimeOnly) + " UTC"}
}
