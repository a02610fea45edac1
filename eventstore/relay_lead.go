package eventstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"
)

const (
	relayLock   = int64(0x626f786f72656c79) // advisory lock of the active relay: "boxorely"
	standbyPoll = 500 * time.Millisecond    // how often a standby tries to become active
	relayBeat   = time.Second               // how often the active relay gives a sign of life
)

var (
	// errNotLeading: the checkpoint could not be moved or kept, so this relay must not go on.
	errNotLeading = errors.New("not the active relay")
	// errOvertaken: the checkpoint is not where this relay left it.
	errOvertaken = errors.New("another relay is active")
)

// leadership is being the active relay: an advisory lock on a connection of its own, and an epoch with which
// the moves of the checkpoint fail once somebody else has it, whatever became of the connection.
type leadership struct {
	conn     *sqlx.Conn
	position int64 // of the checkpoint
	epoch    int64
}

// elect waits until this relay is the active one.
func (r *Relay) elect(ctx context.Context) (l *leadership, err error) {
	conn, err := r.store.db.Connx(ctx)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	l = &leadership{conn: conn}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.release())
		}
	}()
	for {
		var got bool
		if err := conn.GetContext(ctx, &got, `SELECT pg_try_advisory_lock($1)`, relayLock); err != nil {
			return l, fmt.Errorf("take the relay's lock: %w", err)
		}
		if got {
			return l, l.takeOver(ctx)
		}
		if err := r.endSilent(ctx, conn); err != nil {
			return l, err
		}
		select {
		case <-ctx.Done():
			return l, context.Cause(ctx)
		case <-time.After(standbyPoll):
		}
	}
}

func (l *leadership) takeOver(ctx context.Context) error {
	// A lost checkpoint only repeats what was published, so it need not wait for the disk.
	if _, err := l.conn.ExecContext(ctx, `SET synchronous_commit = off`); err != nil {
		return fmt.Errorf("prepare the relay's connection: %w", err)
	}
	row := l.conn.QueryRowxContext(ctx, `INSERT INTO checkpoints AS c (name, topic, partition, epoch) VALUES ('relay', '', 0, 1)
		ON CONFLICT (name, topic, partition) DO UPDATE SET epoch = c.epoch + 1, updated_at = clock_timestamp()
		RETURNING position, epoch`)
	if err := row.Scan(&l.position, &l.epoch); err != nil {
		return fmt.Errorf("take over the relay's checkpoint: %w", err)
	}
	return nil
}

// endSilent ends the connection of an active relay that gave no sign of life for too long (stopped, cut off,
// its host dead before TCP noticed), so that its lock is free.
func (r *Relay) endSilent(ctx context.Context, conn *sqlx.Conn) error {
	var ended []bool
	err := conn.SelectContext(ctx, &ended, `SELECT pg_terminate_backend(l.pid) FROM pg_locks l, checkpoints c
		WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
		AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
		AND l.classid = ($1::bigint >> 32)::bigint::oid AND l.objid = ($1::bigint & 4294967295)::bigint::oid
		AND c.name = 'relay' AND c.topic = '' AND c.partition = 0
		AND c.updated_at < clock_timestamp() - $2::bigint * interval '1 millisecond'`, relayLock, r.cfg.Silence.Milliseconds())
	if err != nil {
		return fmt.Errorf("look after the active relay: %w", err)
	}
	if len(ended) > 0 {
		r.log.WarnContext(ctx, "the active relay was silent for too long and was ended", "silence", r.cfg.Silence)
	}
	return nil
}

// move moves the checkpoint, or fails with errNotLeading.
func (l *leadership) move(ctx context.Context, to int64) error {
	result, err := l.conn.ExecContext(ctx, `UPDATE checkpoints SET position = $1, updated_at = clock_timestamp()
		WHERE name = 'relay' AND topic = '' AND partition = 0 AND position = $2 AND epoch = $3`, to, l.position, l.epoch)
	if err := held(result, err); err != nil {
		return fmt.Errorf("%w: move the checkpoint from %d to %d: %w", errNotLeading, l.position, to, err)
	}
	l.position = to
	return nil
}

// beat gives signs of life until ctx ends (then nil) or the leadership is lost. It goes on while a publish
// takes long, so it shares the connection with move; the pool lets one in at a time.
func (l *leadership) beat(ctx context.Context) error {
	every := time.NewTicker(relayBeat)
	defer every.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-every.C:
		}
		result, err := l.conn.ExecContext(ctx, `UPDATE checkpoints SET updated_at = clock_timestamp()
			WHERE name = 'relay' AND topic = '' AND partition = 0 AND epoch = $1`, l.epoch)
		if err := held(result, err); err != nil {
			return fmt.Errorf("%w: sign of life: %w", errNotLeading, err)
		}
	}
}

func held(result sql.Result, err error) error {
	if err != nil {
		return err
	}
	n, err := result.RowsAffected()
	if err == nil && n == 0 {
		return errOvertaken
	}
	return err
}

// release closes the connection for good, and the lock with it. It does not go back to the pool, because
// it may be broken and has settings of its own.
func (l *leadership) release() error {
	_ = l.conn.Raw(func(any) error { return driver.ErrBadConn })
	if err := l.conn.Close(); err != nil && !errors.Is(err, sql.ErrConnDone) {
		return fmt.Errorf("close the relay's connection: %w", err)
	}
	return nil
}
