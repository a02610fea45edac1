package verify

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/jmoiron/sqlx"

	"boxoffice/eventstore"
)

// source is what an auditor reads from, for the length of one transaction.
type source struct {
	reader
	past
	abstracts
	tables []model // by table; none: no rows are compared

	// stopped reads which of some streams a projection does not go on with, and from which version on. nil: with all.
	stopped func(ctx context.Context, projection string, streams []string) (map[string]int64, error)
}

// table is the place of a read model's table in a source.
type table int

const (
	ordersTable table = iota
	showsTable
	typesTable
	availabilityTable
	itemsTable
)

// opener calls fn with a source that is good for the length of the call.
type opener func(ctx context.Context, fn func(context.Context, source) error) error

// past reads what was before.
type past interface {
	// streams reads whole streams up to a position, in the order of their versions.
	streams(ctx context.Context, names []string, upTo int64) ([]eventstore.Recorded, error)
	// orders reads the streams of orders between two names, in the order of names and versions: after the first,
	// up to the second.
	orders(ctx context.Context, after, upTo string, limit int) ([]eventstore.Recorded, error)
	// places reads where the events after one place stand, in the order of streams and versions, before a name.
	places(ctx context.Context, from place, before string, limit int) ([]place, error)
}

// abstracts read the past of a show, whose stream is too long to be read whole.
type abstracts interface {
	// last reads the last event of a stream up to a position, if there is one.
	last(ctx context.Context, name string, upTo int64) ([]eventstore.Recorded, error)
	// defining reads the events after one version of a stream and up to another that are no movements of tickets.
	defining(ctx context.Context, name string, after, upTo int64) ([]eventstore.Recorded, error)
	// shows reads the names of shows' streams after one, in the order of names.
	shows(ctx context.Context, from string, limit int) ([]string, error)
}

// readOnly opens transactions that may only read, each with a limit of time. Of the read models sales_by_day alone is
// left to Run: its rows follow from all movements of a show, and those are not read from the past.
func readOnly(db *sqlx.DB) opener {
	return func(ctx context.Context, fn func(context.Context, source) error) error {
		ctx, cancel := context.WithTimeout(ctx, auditTimeout)
		defer cancel()
		tx, err := db.BeginTxx(ctx, &sql.TxOptions{ReadOnly: true})
		if err != nil {
			return fmt.Errorf("begin to read: %w", err)
		}
		defer func() { _ = tx.Rollback() }() // there is nothing to commit
		log := postgresLog{tx}
		return fn(ctx, source{log, log, log, []model{
			ordersTable: &orderStatus{tx}, showsTable: &shows{tx}, typesTable: &ticketTypes{tx},
			availabilityTable: &availability{tx}, itemsTable: &openItems{tx},
		}, stoppedIn(tx)})
	}
}

const eventColumns = `e.position, e.stream, e.version, e.type, e.schema_version, e.data, e.metadata, e.recorded_at, e.hash`

// streams keeps the planner on UNIQUE (stream, version), whatever it thinks of the table.
func (l postgresLog) streams(ctx context.Context, names []string, upTo int64) ([]eventstore.Recorded, error) {
	events, err := l.read(ctx, len(names), `SELECT `+eventColumns+` FROM unnest($1::text[]) AS u(stream) CROSS JOIN LATERAL (
	SELECT * FROM events WHERE events.stream = u.stream AND position <= $2 ORDER BY version
) AS e`, eventstore.TextArray(names), upTo)
	if err != nil {
		return nil, fmt.Errorf("read %d streams: %w", len(names), err)
	}
	return events, nil
}

func (l postgresLog) orders(ctx context.Context, after, upTo string, limit int) ([]eventstore.Recorded, error) {
	events, err := l.read(ctx, limit, selectEvents+`WHERE stream > $1 AND stream <= $2 ORDER BY stream, version LIMIT $3`, after, upTo, limit)
	if err != nil {
		return nil, fmt.Errorf("read the streams after %s: %w", after, err)
	}
	return events, nil
}

func (l postgresLog) last(ctx context.Context, name string, upTo int64) ([]eventstore.Recorded, error) {
	events, err := l.read(ctx, 1, selectEvents+`WHERE stream = $1 AND position <= $2 ORDER BY version DESC LIMIT 1`, name, upTo)
	if err != nil {
		return nil, fmt.Errorf("read the last event of %s: %w", name, err)
	}
	return events, nil
}

func (l postgresLog) defining(ctx context.Context, name string, after, upTo int64) ([]eventstore.Recorded, error) {
	events, err := l.read(ctx, 0, selectEvents+`WHERE stream = $1 AND version > $2 AND version <= $3
		AND (type <> ALL($4::text[]) OR schema_version <> $5) ORDER BY version`, name, after, upTo, eventstore.TextArray(movements()), latestSchema)
	if err != nil {
		return nil, fmt.Errorf("read what defines %s: %w", name, err)
	}
	return events, nil
}

func (l postgresLog) places(ctx context.Context, from place, before string, limit int) ([]place, error) {
	var all []place
	err := sqlx.SelectContext(ctx, l.db, &all, `SELECT stream, version, type FROM events
		WHERE (stream, version) > ($1, $2) AND stream < $3 ORDER BY stream, version LIMIT $4`, from.Stream, from.Version, before, limit)
	if err != nil {
		return nil, fmt.Errorf("read what stands after %s: %w", from.id(), err)
	}
	return all, nil
}

// shows goes from name to name in the index: the streams of shows are long.
func (l postgresLog) shows(ctx context.Context, from string, limit int) ([]string, error) {
	var names []string
	err := sqlx.SelectContext(ctx, l.db, &names, `WITH RECURSIVE names (stream, n) AS (
	(SELECT stream, 1 FROM events WHERE stream > $1 AND stream < $2 ORDER BY stream LIMIT 1)
	UNION ALL SELECT (
		SELECT e.stream FROM events AS e WHERE e.stream > names.stream AND e.stream < $2 ORDER BY e.stream LIMIT 1
	), names.n + 1 FROM names WHERE names.stream IS NOT NULL AND names.n < $3
) SELECT stream FROM names WHERE stream IS NOT NULL ORDER BY n`, from, after(showPrefix), limit)
	if err != nil {
		return nil, fmt.Errorf("read the names of shows after %q: %w", from, err)
	}
	return names, nil
}

// after is a name behind those of all streams with a prefix, which ends with a hyphen.
func after(prefix string) string { return prefix[:len(prefix)-1] + "." }
