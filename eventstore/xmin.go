package eventstore

import (
	"context"
	"fmt"
	"time"
)

// Horizon is what keeps Postgres from removing dead versions of rows. Every append walks over those of the
// head's row, so a long transaction anywhere in the database makes all appends slow.
type Horizon struct {
	Transactions int64  `db:"transactions"` // begun since the oldest snapshot that is held; 0: none is
	Seconds      int64  `db:"seconds"`      // age of the oldest transaction that holds one, as far as it can be seen
	Holder       string `db:"holder"`       // who holds the oldest: a session, a replication slot or a prepared transaction
}

// Age is how old the oldest transaction is.
func (h Horizon) Age() time.Duration { return time.Duration(h.Seconds) * time.Second }

// Of other roles' sessions a role without pg_read_all_stats sees the snapshot, but not since when it is held.
const horizonSQL = `WITH holders AS (
	SELECT age(a.backend_xmin) AS age, a.xact_start AS since,
		'session ' || a.pid || ' of ' || coalesce(a.usename, '?') || ' (' || coalesce(nullif(a.application_name, ''), '?') || ', '
			|| coalesce(a.state, '?') || ')' AS holder
	FROM pg_stat_activity AS a
	WHERE a.backend_xmin IS NOT NULL AND a.pid <> pg_backend_pid() AND (a.datname = current_database() OR a.datname IS NULL)
	UNION ALL
	SELECT age(s.xmin), NULL, 'replication slot ' || s.slot_name FROM pg_replication_slots AS s WHERE s.xmin IS NOT NULL
	UNION ALL
	SELECT age(x.transaction), x.prepared, 'prepared transaction ' || x.gid FROM pg_prepared_xacts AS x WHERE x.database = current_database()
)
SELECT coalesce(max(age), 0)::bigint AS transactions,
	coalesce(greatest(extract(epoch FROM clock_timestamp() - min(since)), 0), 0)::bigint AS seconds,
	coalesce((SELECT holder FROM holders ORDER BY age DESC, since LIMIT 1), '') AS holder
FROM holders`

// Horizon reads what holds the horizon back now, this reading excepted.
func (s *Store) Horizon(ctx context.Context) (Horizon, error) {
	var h Horizon
	if err := s.db.GetContext(ctx, &h, horizonSQL); err != nil {
		return Horizon{}, fmt.Errorf("read the oldest snapshot: %w", err)
	}
	return h, nil
}
