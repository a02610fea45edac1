package replay_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"boxoffice/eventstore"
	"boxoffice/internal/devstack"
	"boxoffice/projections"
	"boxoffice/projections/logtest"
	"boxoffice/projections/replay"
	"boxoffice/projections/verify"
)

// world is a log with its read models in a database of its own.
type world struct {
	db    *sqlx.DB
	store *eventstore.Store
	log   logtest.Written
}

// newWorld writes a log of about so many events; its read models are empty.
func newWorld(t *testing.T, events int) *world {
	t.Helper()
	db := devstack.Postgres(t).Open(t)
	return &world{db, eventstore.New(db, eventstore.Config{}), logtest.Write(t, db, logtest.Plan{Events: events, Shows: 3, Seed: 7})}
}

// project applies the whole log by the consumers that run in service, each over a topic of one partition.
func (w *world) project(t *testing.T) {
	t.Helper()
	for _, p := range projections.All() {
		a := projections.NewApplier(p, w.db, w.store, slog.New(slog.DiscardHandler))
		topic := p.Definition().Topic
		if _, err := a.Start(t.Context(), topic, 0, 0, 1<<40); err != nil {
			t.Fatal(err)
		}
		for offset := int64(0); ; {
			page, err := w.store.ReadAll(t.Context(), offset, 1000)
			if err != nil {
				t.Fatal(err)
			}
			var batch []projections.Message
			for _, e := range page {
				batch = append(batch, projections.Message{Offset: offset, Message: eventstore.ToMessage(e)})
				offset++
			}
			if err := a.Apply(t.Context(), topic, 0, batch); err != nil {
				t.Fatal(err)
			}
			if len(page) < 1000 {
				break
			}
		}
	}
}

// replay runs a replay of all read models that is to go well.
func (w *world) replay(t *testing.T, cfg replay.Config) replay.Report {
	t.Helper()
	report, err := w.tryReplay(t, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func (w *world) tryReplay(t *testing.T, cfg replay.Config) (replay.Report, error) {
	t.Helper()
	session, err := w.db.Connx(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	if cfg.Projections == nil {
		cfg.Projections = projections.All()
	}
	if cfg.Wait == 0 {
		cfg.Wait = 50 * time.Millisecond
	}
	return replay.Run(t.Context(), w.db, session, cfg)
}

// proves lets verify look at everything.
func (w *world) proves(t *testing.T) {
	t.Helper()
	report, err := verify.Run(t.Context(), w.db, verify.Config{Wait: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if !report.Ok() {
		t.Errorf("%d findings, the first %+v", report.Found, report.Findings[0])
	}
}

func (w *world) exec(t *testing.T, query string, args ...any) {
	t.Helper()
	if _, err := w.db.ExecContext(t.Context(), query, args...); err != nil {
		t.Fatal(err)
	}
}

func (w *world) text(t *testing.T, query string, args ...any) string {
	t.Helper()
	var text string
	if err := w.db.GetContext(t.Context(), &text, query, args...); err != nil {
		t.Fatal(err)
	}
	return text
}

func readModelTables() (names []string) {
	for _, p := range projections.All() {
		names = append(names, p.Definition().Tables...)
	}
	return names
}

// digest is a digest of all rows of all read models.
func (w *world) digest(t *testing.T) string {
	t.Helper()
	var all []string
	for _, name := range readModelTables() {
		all = append(all, name+" "+w.text(t, fmt.Sprintf(`SELECT count(*) || ' ' || coalesce(md5(string_agg(t::text, '' ORDER BY t::text)), '') FROM %s t`, name)))
	}
	return strings.Join(all, "\n")
}

// shape is all that the catalog says of the tables of the read models: columns, keys, indexes, rights, options.
func (w *world) shape(t *testing.T) string {
	t.Helper()
	return w.text(t, `SELECT string_agg(line, E'\n' ORDER BY line) FROM (
		SELECT c.relname || '.' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod) || ' ' || a.attnotnull || ' ' || a.attnum || ' ' || a.attcollation::text AS line
			FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
			WHERE c.relnamespace = 'public'::regnamespace AND c.relname = ANY ($1::text[])
		UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename = ANY ($1::text[])
		UNION ALL SELECT conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint
			WHERE connamespace = 'public'::regnamespace AND conrelid::regclass::text = ANY ($1::text[])
		UNION ALL SELECT relname || ' ' || coalesce(reloptions::text, '-') || ' ' || coalesce(relacl::text, '-') || ' ' || relowner::regrole || ' ' || relpersistence::text
			FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relname = ANY ($1::text[])) AS lines`,
		eventstore.TextArray(readModelTables()))
}
