package replay

import (
	"bytes"
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"

	"github.com/jmoiron/sqlx"

	"boxoffice/projections"
)

// chunkRows is how many rows are copied in one transaction, so that it holds no snapshot for long.
const chunkRows = 2_000

const (
	chunkBytes = 2 << 20  // of the text of a chunk, to begin with
	pieceBytes = 56 << 10 // of lines that are handed over at once; lib/pq keeps 64 KiB
)

// copyChunk copies rows into the new tables. A row that Postgres refuses to store parks its stream, and what of
// it can be stored is.
func (r *rebuild) copyChunk(ctx context.Context, m *model, keys []projections.RowKey) error {
	err := r.copyFilled(ctx, m.build.Rows().Filled(keys), false)
	switch {
	case !projections.Refused(err):
		return err
	case len(keys) == 1:
		return r.salvage(ctx, m, keys[0], err, func(rows []projections.Filled, trial bool) (refused, err error) {
			if err = r.copyFilled(ctx, rows, trial); projections.Refused(err) {
				return err, nil
			}
			return nil, err
		})
	}
	half := len(keys) / 2
	if err := r.copyChunk(ctx, m, keys[:half]); err != nil {
		return err
	}
	return r.copyChunk(ctx, m, keys[half:])
}

// storing stores rows, or only tries to; refused is what Postgres has against them.
type storing func(rows []projections.Filled, trial bool) (refused, err error)

// salvage stores as much of a row as Postgres takes, and parks its stream at the first event that it does not.
func (r *rebuild) salvage(ctx context.Context, m *model, row projections.RowKey, reason error, store storing) error {
	last, err := r.log.EventAt(ctx, row.Position)
	if err != nil {
		return err
	}
	low, high := int64(0), row.Version // up to low it can be stored, up to high it can't
	var best []projections.Filled
	for low+1 < high {
		middle := (low + high) / 2
		rows, err := r.rowUpTo(ctx, m, last.Stream, row.Key, middle)
		if err != nil {
			return err
		}
		switch refused, err := store(rows, true); {
		case err != nil:
			return err
		case refused != nil:
			high, reason = middle, refused
		default:
			low, best = middle, rows
		}
	}
	if best != nil {
		if _, err := store(best, false); err != nil {
			return err
		}
	}
	stopped, err := r.log.ReadStream(ctx, last.Stream, high-1, 1)
	if err != nil || len(stopped) == 0 {
		return fmt.Errorf("read version %d of %s: %w", high, last.Stream, err)
	}
	r.telling.Lock() // other chunks are copied at the same time
	defer r.telling.Unlock()
	m.build.Park(stopped[0], fmt.Errorf("its row can't be stored: %w", reason))
	return nil
}

// rowUpTo folds one row of a stream up to a version.
func (r *rebuild) rowUpTo(ctx context.Context, m *model, stream, key string, version int64) ([]projections.Filled, error) {
	one := projections.NewBuild(m.projection, r.log, m.out)
	one.Only(func(other string) bool { return other == key })
	for at := int64(0); at < version; {
		page, err := r.log.ReadStream(ctx, stream, at, int(min(pageEvents, version-at)))
		if err != nil || len(page) == 0 {
			return nil, fmt.Errorf("read %s after version %d: %w", stream, at, err)
		}
		if err := one.Add(ctx, nil, page); err != nil {
			return nil, err
		}
		at = page[len(page)-1].Version
	}
	return one.Rows().Filled(one.Rows().Keys()), nil
}

// copyFilled copies rows in one transaction, which comes to nothing if it is only a trial.
func (r *rebuild) copyFilled(ctx context.Context, rows []projections.Filled, trial bool) (err error) {
	conn, err := r.db.Connx(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	tx, err := conn.BeginTxx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // after a commit it does nothing
	if _, err := tx.ExecContext(ctx, `SET LOCAL synchronous_commit = off`); err != nil {
		return err
	}
	for _, f := range rows {
		if err := r.copyTable(ctx, conn, f); err != nil {
			return err
		}
	}
	if trial {
		return nil
	}
	return tx.Commit()
}

// copier is what lib/pq's COPY statement can do beyond a statement: take whole lines.
type copier interface {
	CopyData(ctx context.Context, line string) (driver.Result, error)
}

// copyTable copies the rows of one table, inside a transaction of conn.
func (r *rebuild) copyTable(ctx context.Context, conn *sqlx.Conn, f projections.Filled) error {
	text, err := f.Text(make([]byte, 0, chunkBytes))
	if err != nil || len(text) == 0 {
		return err
	}
	name, columns := f.Table()
	for i := range columns {
		columns[i] = quoted(columns[i])
	}
	query := fmt.Sprintf("COPY %s (%s) FROM STDIN", r.qualified(r.shadow, name), strings.Join(columns, ", "))
	return conn.Raw(func(raw any) (err error) {
		preparer, ok := raw.(driver.ConnPrepareContext)
		if !ok {
			return fmt.Errorf("copy to %s: %T prepares nothing", name, raw)
		}
		statement, err := preparer.PrepareContext(ctx, query)
		if err != nil {
			return fmt.Errorf("copy to %s: %w", name, err)
		}
		defer func() {
			if closing := statement.Close(); err == nil {
				err = closing
			}
		}()
		to, ok := statement.(copier)
		if !ok {
			return fmt.Errorf("copy to %s: %T takes no lines", name, statement)
		}
		for len(text) > 0 {
			piece := text
			if len(piece) > pieceBytes {
				piece = text[:pieceBytes+1+bytes.IndexByte(text[pieceBytes:], '\n')]
			}
			text = text[len(piece):]
			if _, err := to.CopyData(ctx, string(piece[:len(piece)-1])); err != nil { // it ends the line itself
				return fmt.Errorf("copy to %s: %w", name, err)
			}
		}
		// Without arguments it ends the copy and tells what became of it.
		if _, err := statement.Exec(nil); err != nil { //nolint:staticcheck // lib/pq's COPY knows no context here
			return fmt.Errorf("copy to %s: %w", name, err)
		}
		return nil
	})
}
