package replay

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"

	"boxoffice/eventstore"
)

// lockTables locks the new tables, and those in use against readers; false: somebody does not let it.
func (r *rebuild) lockTables(ctx context.Context, tx *sqlx.Tx, m *model) (bool, error) {
	live, shadow := strings.Join(r.tablesIn(r.live, m), ", "), strings.Join(r.tablesIn(r.shadow, m), ", ")
	if _, err := tx.ExecContext(ctx, "SAVEPOINT before_locks"); err != nil {
		return false, err
	}
	// A vacuum that works on a table gives way to the first two after a second; readers and writers pass the second one.
	err := execAll(ctx, tx, []string{
		fmt.Sprintf("SET LOCAL lock_timeout = %d", vacuumYield.Milliseconds()),
		"LOCK TABLE " + shadow + " IN ACCESS EXCLUSIVE MODE",
		"LOCK TABLE " + live + " IN SHARE UPDATE EXCLUSIVE MODE",
		fmt.Sprintf("SET LOCAL lock_timeout = %d", lockWait.Milliseconds()),
		"LOCK TABLE " + live + " IN ACCESS EXCLUSIVE MODE",
	})
	if !unavailable(err) {
		return err == nil, err
	}
	_, err = tx.ExecContext(ctx, "ROLLBACK TO SAVEPOINT before_locks")
	return false, err
}

// tablesIn are the names of a read model's tables in a schema, in the order in which queries join them.
func (r *rebuild) tablesIn(schema string, m *model) []string {
	names := make([]string, len(m.tables))
	for i, t := range m.tables {
		names[i] = r.qualified(schema, t.name)
	}
	return names
}

// holders names the sessions that have locks on the tables in use, for people.
func (r *rebuild) holders(ctx context.Context, m *model) string {
	var sessions string
	err := r.db.GetContext(ctx, &sessions, `SELECT coalesce(string_agg(DISTINCT 'session ' || a.pid || coalesce(' (' || nullif(a.application_name, '') || ')', ''), ', '), '')
		FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
		WHERE l.granted AND l.relation = ANY ($1::text[]::regclass[]) AND a.pid <> pg_backend_pid()`, eventstore.TextArray(r.tablesIn(r.live, m)))
	if err != nil || sessions == "" {
		return "somebody who has just ended"
	}
	return sessions
}

// unavailable reports whether an error means that somebody else holds a lock.
func unavailable(err error) bool {
	refused, ok := errors.AsType[*pq.Error](err)
	return ok && refused.Code == pqerror.LockNotAvailable
}
