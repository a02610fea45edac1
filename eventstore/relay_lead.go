package eventstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"
)

const (
	relayLock      = int64(0x626f786f72656c79) // advisory lock of the active relay: "boxorely"
	standbyPoll    = time.Second
	relaySign      = time.Second // at least this often the active relay gives a sign of life
	defaultSilence = 10 * time.Second
	releaseTimeout = 2 * time.Second
)

// errOvertaken: another relay has become the active one.
var errOvertaken = errors.New("another relay is active")

// leadership is being the active relay: an advisory lock on a connection of its own, and an epoch that makes
// a former holder's moves of the checkpoint fail.
type leadership struct {
	conn     *sqlx.Conn
	position int64
	epoch    int64
	signed   time.Time
}

// lead waits until this relay is the active one.
func (r *Relay) lead(ctx context.Context) (l *leadership, err error) {
	conn, err := r.store.db.Connx(ctx)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	l = &leadership{conn: conn}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.release(ctx))
		}
	}()
	for {
		var got bool
		if err := conn.GetContext(ctx, &got, `SELECT pg_try_advisory_lock($1)`, relayLock); err != nil {
			return l, fmt.Errorf("take the relay's lock: %w", err)
		}
		if got {
			break
		}
		if err := r.endSilent(ctx, conn); err != nil {
			return l, err
		}
		select {
		case <-ctx.Done():
			return l, ctx.Err()
		case <-time.After(standbyPoll):
		}
	}
	// A lost checkpoint only repeats what was published, so it need not wait for the disk.
	if _, err := conn.ExecContext(ctx, `SET synchronous_commit = off`); err != nil {
		return l, fmt.Errorf("prepare the relay's connection: %w", err)
	}
	row := conn.QueryRowxContext(ctx, `UPDATE checkpoints SET epoch = epoch + 1, updated_at = now()
		WHERE name = 'relay' AND topic = '' AND partition = 0 RETURNING position, epoch`)
	if err := row.Scan(&l.position, &l.epoch); err != nil {
		return l, fmt.Errorf("take over the relay's checkpoint: %w", err)
	}
	l.signed = time.Now()
	return l, nil
}

// endSilent ends the connection of an active relay that gave no sign of life for too long, so that its lock is free.
func (r *Relay) endSilent(ctx context.Context, conn *sqlx.Conn) error {
	var ended []bool
	err := conn.SelectContext(ctx, &ended, `SELECT pg_terminate_backend(l.pid) FROM pg_locks l, checkpoints c
		WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
		AND l.classid = ($1::bigint >> 32)::bigint::oid AND l.objid = ($1::bigint & 4294967295)::bigint::oid
		AND c.name = 'relay' AND c.topic = '' AND c.partition = 0
		AND c.updated_at < now() - $2::bigint * interval '1 millisecond'`, relayLock, r.cfg.Silence.Milliseconds())
	if err != nil {
		return fmt.Errorf("look after the active relay: %w", err)
	}
	if len(ended) > 0 {
		r.log.WarnContext(ctx, "the active relay was silent for too long and was ended")
	}
	return nil
}

// move moves the checkpoint, which fails for a relay that was overtaken.
func (l *leadership) move(ctx context.Context, to int64) error {
	result, err := l.conn.ExecContext(ctx, `UPDATE checkpoints SET position = $1, updated_at = now()
		WHERE name = 'relay' AND topic = '' AND partition = 0 AND position = $2 AND epoch = $3`, to, l.position, l.epoch)
	if err := moved(result, err); err != nil {
		return fmt.Errorf("move the relay's checkpoint from %d to %d: %w", l.position, to, err)
	}
	l.position, l.signed = to, time.Now()
	return nil
}

// alive gives a sign of life if it is time for one.
func (l *leadership) alive(ctx context.Context) error {
	if time.Since(l.signed) < relaySign {
		return nil
	}
	return l.move(ctx, l.position)
}

func moved(result sql.Result, err error) error {
	if err != nil {
		return err
	}
	n, err := result.RowsAffected()
	if err == nil && n == 0 {
		return errOvertaken
	}
	return err
}

// release gives the lock and the connection back, also when ctx has ended.
func (l *leadership) release(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTimeout)
	defer cancel()
	// A connection that can't be told to unlock must not go back to the pool with the lock.
	if _, err := l.conn.ExecContext(ctx, `SELECT pg_advisory_unlock_all()`); err != nil {
		_ = l.conn.Raw(func(any) error { return sql.ErrConnDone })
	}
	if _, err := l.conn.ExecContext(ctx, `RESET synchronous_commit`); err != nil {
		_ = l.conn.Close()
		return nil
	}
	return l.conn.Close()
}
