package eventstore

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

// Server is what a Postgres server tells about itself, as far as the role may know.
type Server struct {
	Version     string            // such as 15.8
	VersionNum  int               // such as 150008
	Standby     bool              // it replays another server's log and can't be written
	Settings    map[string]string // of those that were asked for; those the role may not see are missing
	Streaming   int               // standbys that are connected
	Synchronous int               // of them, those that commits wait for
	Database    string
	Role        string
	Size        int64 // bytes of the database
	Sessions    int   // of all clients of the server
}

// Examine asks the server for what decides whether commits last, and for these settings.
func Examine(ctx context.Context, db *sqlx.DB, settings ...string) (Server, error) {
	s := Server{Settings: map[string]string{}}
	err := db.QueryRowContext(ctx, `SELECT current_setting('server_version'), current_setting('server_version_num')::int, pg_is_in_recovery(),
		current_database(), current_user, pg_database_size(current_database()),
		(SELECT count(*) FROM pg_stat_replication), (SELECT count(*) FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum')),
		(SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')`).Scan(
		&s.Version, &s.VersionNum, &s.Standby, &s.Database, &s.Role, &s.Size, &s.Streaming, &s.Synchronous, &s.Sessions)
	if err != nil {
		return s, fmt.Errorf("ask the server about itself: %w", err)
	}
	var rows []struct {
		Name    string `db:"name"`
		Setting string `db:"setting"`
	}
	if err := db.SelectContext(ctx, &rows, `SELECT name, setting FROM pg_settings WHERE name = ANY($1::text[])`, TextArray(settings)); err != nil {
		return s, fmt.Errorf("read the server's settings: %w", err)
	}
	for _, row := range rows {
		s.Settings[row.Name] = row.Setting
	}
	return s, nil
}

// Skew is how far the database's clock is ahead of this machine's, and how exact that is known.
func Skew(ctx context.Context, db *sqlx.DB) (ahead, exact time.Duration, err error) {
	exact = time.Hour
	for range clockReadings {
		sent := time.Now()
		var micros int64
		if err := db.QueryRowContext(ctx, `SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint`).Scan(&micros); err != nil {
			return 0, 0, fmt.Errorf("read the database's clock: %w", err)
		}
		if took := time.Since(sent); took < exact {
			ahead, exact = time.UnixMicro(micros).Sub(sent.Add(took/2)), took
		}
	}
	return ahead, exact, nil
}

// ErrPooled: statements of one connection run in several sessions, as behind a pooler in transaction mode.
// The relay's lock, session settings and wakes between processes then don't work.
var ErrPooled = errors.New("log: one connection is not one session")

// session is one connection as its user sees it.
type session interface {
	GetContext(ctx context.Context, into any, query string, args ...any) error
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// CheckSession makes sure that a connection keeps what a session has, while others use the server too.
// Errors: ErrPooled.
func CheckSession(ctx context.Context, db *sqlx.DB) error {
	one, err := db.Connx(ctx)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer func() { _ = one.Close() }()
	other, err := db.Connx(ctx)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer func() { _ = other.Close() }()
	return keepsSession(ctx, one, other)
}

// keepsSession sets something and takes a lock on one connection, and looks for them while another one is in
// a transaction: a pooler in transaction mode gives the first one another session meanwhile.
func keepsSession(ctx context.Context, one, other session) (err error) {
	mark, key := rand.Text(), time.Now().UnixNano()
	if _, err := one.ExecContext(ctx, `SELECT set_config('boxoffice.session', $1, false), pg_advisory_lock($2)`, mark, key); err != nil {
		return fmt.Errorf("prepare a session: %w", err)
	}
	for range sessionRounds {
		if _, err := other.ExecContext(ctx, `BEGIN`); err != nil {
			return fmt.Errorf("begin beside a session: %w", err)
		}
		var kept bool
		err := one.GetContext(ctx, &kept, `SELECT coalesce(current_setting('boxoffice.session', true), '') = $1 AND EXISTS (
			SELECT FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND objsubid = 1
			AND classid = ($2::bigint >> 32)::bigint::oid AND objid = ($2::bigint & 4294967295)::bigint::oid)`, mark, key)
		_, ended := other.ExecContext(ctx, `ROLLBACK`)
		if err := errors.Join(err, ended); err != nil {
			return fmt.Errorf("look at a session: %w", err)
		}
		if !kept {
			return ErrPooled
		}
	}
	if _, err := one.ExecContext(ctx, `SELECT pg_advisory_unlock($1), set_config('boxoffice.session', '', false)`, key); err != nil {
		return fmt.Errorf("leave a session: %w", err)
	}
	return nil
}

const (
	sessionRounds = 3
	listenLimit   = 5 * time.Second // for a connection that listens, and for a notification to arrive
	checkChannel  = "boxoffice_check"
)

// CheckListen makes sure that a notification arrives where somebody listens. url is where OpenDB connected db.
func CheckListen(ctx context.Context, db *sqlx.DB, url string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, listenLimit, fmt.Errorf("nothing arrived within %s", listenLimit))
	defer cancel()
	listener := pq.NewDialListener(dialer{}, url, listenReconnect, listenReconnected, nil)
	defer func() {
		_ = listener.Close()
		for range listener.NotificationChannel() { //nolint:revive // its end is the end of the listener's goroutines
		}
	}()
	listening := make(chan error, 1)
	go func() { listening <- listener.Listen(checkChannel) }()
	select {
	case err := <-listening:
		if err != nil {
			return fmt.Errorf("listen: %w", err)
		}
	case <-ctx.Done():
		_ = listener.Close() // ends Listen
		<-listening
		return fmt.Errorf("listen: %w", context.Cause(ctx))
	}
	mark := rand.Text()
	if _, err := db.ExecContext(ctx, `SELECT pg_notify($1, $2)`, checkChannel, mark); err != nil {
		return fmt.Errorf("notify: %w", err)
	}
	for {
		select {
		case n := <-listener.NotificationChannel():
			if n != nil && n.Extra == mark {
				return nil
			}
		case <-ctx.Done():
			return fmt.Errorf("wait for a notification: %w", context.Cause(ctx))
		}
	}
}
