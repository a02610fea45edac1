package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"boxoffice"
	"boxoffice/eventstore"
)

const (
	leastVersion   = 140000
	mostSkew       = time.Second
	oldTransaction = time.Minute
	fullShare      = 0.8     // of the connections that a server allows
	leastDisk      = 2 << 30 // bytes
	gibibyte       = 1 << 30
)

// checkPostgres looks at the server and what of it is ours.
func (d *doctor) checkPostgres(ctx context.Context, db *sqlx.DB) {
	ctx, cancel := context.WithTimeout(ctx, 2*checkLimit)
	defer cancel()
	server, err := eventstore.Examine(ctx, db, "fsync", "synchronous_commit", "full_page_writes", "max_connections", "data_directory")
	if err != nil {
		d.fail("postgres", advice(err), "%v", err)
		return
	}
	d.ok("postgres", "PostgreSQL %s at %s, database %s as %s", server.Version, hostOf(d.tools.DatabaseURL), server.Database, server.Role)
	if server.VersionNum < leastVersion {
		d.fail("postgres-version", "upgrade the server", "%s is older than 14", server.Version)
	}
	if server.Standby {
		d.fail("postgres-primary", "give the address of the primary", "this server is a standby and can't be written")
	}
	d.checkDurability(server)
	d.checkSchema(ctx, db)
	d.checkReadModels(ctx, db)
	d.checkSession(ctx, db)
	d.checkRoom(server)
	if ahead, exact, err := eventstore.Skew(ctx, db); err != nil {
		d.fail("clock", "", "%v", err)
	} else if ahead.Abs() > mostSkew+exact {
		d.warn("clock", "synchronise both clocks (NTP)", "the database's clock is %s off this machine's", ahead.Round(time.Millisecond))
	} else {
		d.ok("clock", "the database's clock is %s off this machine's, known to %s", ahead.Round(time.Millisecond), exact.Round(10*time.Microsecond))
	}
	horizon, err := eventstore.New(db, eventstore.Config{}).Horizon(ctx)
	switch {
	case err != nil:
		d.fail("transactions", "", "%v", err)
	case horizon.Age() > oldTransaction:
		d.warn("transactions", "end it: until then every append walks over dead versions of the head's row",
			"%s holds a snapshot; the oldest transaction is %s old", horizon.Holder, horizon.Age())
	default:
		d.ok("transactions", "no snapshot is held for long (%d transactions back, %s)", horizon.Transactions, horizon.Age())
	}
}

func (d *doctor) checkDurability(s eventstore.Server) {
	for _, setting := range []struct {
		name, advice, means string
		good                []string
		status              status
	}{
		{"fsync", "set fsync = on", "a power cut may lose or ruin the log", []string{"on"}, wrong},
		{"synchronous_commit", "set synchronous_commit = on", "a crash may lose orders that were answered", []string{"on", "local", "remote_write", "remote_apply"}, wrong},
		{"full_page_writes", "set it to on, unless the file system never tears a page", "a power cut may ruin pages", []string{"on"}, wary},
	} {
		value, known := s.Settings[setting.name]
		switch {
		case !known:
			d.warn(setting.name, "ask who runs the server", "this role may not see it")
		case slices.Contains(setting.good, value):
			d.ok(setting.name, "%s", value)
		default:
			d.findings = append(d.findings, finding{setting.status, setting.name, value + ": " + setting.means, setting.advice})
		}
	}
	switch commit := s.Settings["synchronous_commit"]; {
	case s.Synchronous > 0 && commit == "local":
		d.warn("synchronous-standby", "set synchronous_commit = on", "there is one, and commits don't wait for it")
	case s.Synchronous > 0:
		d.ok("synchronous-standby", "yes, %d of %d standbys", s.Synchronous, s.Streaming)
	default:
		d.ok("synchronous-standby", "none (%d standbys in all): what this server loses for good is lost, also by a failover", s.Streaming)
	}
}

func (d *doctor) checkSchema(ctx context.Context, db *sqlx.DB) {
	missing, none, err := eventstore.Missing(ctx, db, boxoffice.Schema())
	switch {
	case err != nil:
		d.fail("schema", "", "%v", err)
		return
	case none:
		d.fail("schema", "run boxoffice migrate", "none of the tables is there")
		return
	case len(missing) > 0:
		d.fail("schema", "run boxoffice migrate of this version", "it is older than this program and lacks %s", strings.Join(missing, ", "))
		return
	}
	d.ok("schema", "all that this version needs is there")
	var guarded bool
	if err := db.GetContext(ctx, &guarded, `SELECT EXISTS (SELECT FROM pg_trigger
		WHERE tgrelid = 'events'::regclass AND tgname = 'events_append_only' AND tgenabled = 'A')`); err != nil {
		d.fail("append-only", "", "%v", err)
	} else if !guarded {
		d.fail("append-only", "ALTER TABLE events ENABLE ALWAYS TRIGGER events_append_only, and find out who switched it off; then boxoffice verify",
			"the trigger that keeps the log from being changed is off or gone")
	} else {
		d.ok("append-only", "the trigger refuses changes of the log")
	}
	lacking, excess, err := eventstore.Service{Rights: boxoffice.Rights}.Compare(ctx, db, boxoffice.Schema())
	excess = slices.DeleteFunc(excess, func(right string) bool { return !strings.HasSuffix(right, " on events") })
	switch {
	case err != nil:
		d.fail("rights", "", "%v", err)
	case len(lacking) > 0:
		d.fail("rights", "run boxoffice migrate with --grant-to", "this role lacks %s", strings.Join(lacking, ", "))
	case len(excess) > 0:
		d.warn("rights", "run the service as a role of its own: boxoffice migrate --grant-to ROLE",
			"this role may do %s, so only the trigger protects the log", strings.Join(excess, ", "))
	default:
		d.ok("rights", "this role may append to the log and not change it")
	}
}

func (d *doctor) checkSession(ctx context.Context, db *sqlx.DB) {
	const tip = "connect directly or through a pool in session mode"
	ctx, cancel := context.WithTimeout(ctx, checkLimit)
	defer cancel()
	switch err := eventstore.CheckSession(ctx, db); {
	case errors.Is(err, eventstore.ErrPooled):
		d.fail("session", tip, "statements of one connection run in several sessions, as behind a pool in transaction mode")
	case err != nil:
		d.fail("session", tip, "%v", err)
	default:
		d.ok("session", "a connection keeps its settings and locks")
	}
	if err := eventstore.CheckListen(ctx, db, d.tools.DatabaseURL.Reveal()); err != nil {
		d.warn("listen", tip, "processes hear of each other's appends only by polling: %v", err)
	} else {
		d.ok("listen", "a notification arrives")
	}
}

// checkRoom looks at connections and disk.
func (d *doctor) checkRoom(s eventstore.Server) {
	most, err := strconv.Atoi(s.Settings["max_connections"])
	switch {
	case err != nil:
		d.warn("connections", "ask who runs the server", "%d are in use; this role may not see how many there may be", s.Sessions)
	case float64(s.Sessions) > fullShare*float64(most):
		d.warn("connections", "raise max_connections, or run fewer processes", "%d of %d are in use", s.Sessions, most)
	default:
		d.ok("connections", "%d of %d are in use", s.Sessions, most)
	}
	size := fmt.Sprintf("the database has %.2f GiB", float64(s.Size)/gibibyte)
	free, seen := uint64(0), false
	if dir := s.Settings["data_directory"]; dir != "" && isLocal(d.tools.DatabaseURL.Reveal()) {
		free, seen = freeBytes(dir)
	}
	switch {
	case !seen:
		d.ok("disk", "%s; how much is free can't be seen from here, so watch it where the server runs", size)
	case free < leastDisk || free < uint64(s.Size)/10:
		d.warn("disk", "make room: a full disk stops all orders", "%s, and only %.2f GiB are free", size, float64(free)/gibibyte)
	default:
		d.ok("disk", "%s, and %.2f GiB are free", size, float64(free)/gibibyte)
	}
}

// isLocal reports whether an address leads to this machine.
func isLocal(address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	host := cmp.Or(u.Hostname(), u.Query().Get("host"))
	ip := net.ParseIP(host)
	return host == "" || host == "localhost" || strings.HasPrefix(host, "/") || (ip != nil && ip.IsLoopback())
}
