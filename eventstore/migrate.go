package eventstore

import (
	"context"
	"fmt"

	"github.com/jmoiron/sqlx"
)

// migrateLock is the advisory lock that processes starting together queue on ("boxoffice", 1).
const migrateLock = 0x626f_786f_6666_01

// Waiting for another process's migration is limited by ctx only; waiting for a running system's table
// locks must be short, because everything behind such a wait waits too.
const (
	beginMigration = `SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0`
	limitMigration = `SET LOCAL lock_timeout = '3s'`
)

// Migrate applies schema (idempotent SQL, see boxoffice.Schema) in one transaction. Any number of
// processes may do so at once: they take turns, and all but the first find nothing to do.
func Migrate(ctx context.Context, db *sqlx.DB, schema string) error {
	_, err := migrate(ctx, db, schema, nil)
	return err
}

// MigrateFor is Migrate for a service that runs as another role, which gets its rights in the same
// transaction. It returns the rights that the role has beyond them and that could not be taken from it: as
// an owner, a superuser, a member of another role, or as everybody.
func MigrateFor(ctx context.Context, db *sqlx.DB, schema string, service Service) (excess []string, err error) {
	return migrate(ctx, db, schema, &service)
}

func migrate(ctx context.Context, db *sqlx.DB, schema string, service *Service) (excess []string, err error) {
	tx, err := db.BeginTxx(ctx, nil)
	if err != nil {
		return nil, fmt.Errorf("migrate: begin: %w", err)
	}
	defer func() { _ = tx.Rollback() }()
	for _, step := range []struct{ what, sql string }{
		{"settings", beginMigration},
		{"wait for other migrations", fmt.Sprintf("SELECT pg_advisory_xact_lock(%d)", int64(migrateLock))},
		{"settings", limitMigration},
		{"apply schema", schema},
	} {
		if _, err := tx.ExecContext(ctx, step.sql); err != nil {
			return nil, fmt.Errorf("migrate: %s: %w", step.what, err)
		}
	}
	if service != nil {
		if excess, err = service.grant(ctx, tx, schema); err != nil {
			return nil, fmt.Errorf("migrate: rights of %s: %w", service.Role, err)
		}
	}
	if err := tx.Commit(); err != nil {
		return nil, fmt.Errorf("migrate: commit: %w", err)
	}
	return excess, nil
}
