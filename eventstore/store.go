package eventstore

import (
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jmoiron/sqlx"
)

// Config is what a Store may be told. Zero values mean the defaults.
type Config struct {
	Log *slog.Logger // nil: says nothing
	// URL is where Run listens for other processes' appends. Empty: it does not, and polling is all there is.
	URL string
	// TurnTail is how many events Turn reads under the head's lock at most. 0: 2,000.
	TurnTail int
}

const defaultTurnTail = 2_000 // events

// MaxPage is the most events (positions, streams, keys) that one read asks for.
const MaxPage = 20_000

// Store is the log in Postgres. It is safe for concurrent use.
type Store struct {
	db       *sqlx.DB
	log      *slog.Logger
	url      string
	turnTail int64
	clock    *clock
	wake     *wakes

	prepared atomic.Pointer[[appendKinds]*sql.Stmt] // forms of the append
	buffers  sync.Pool                              // of *[]byte, to encode batches into
}

// New makes a Store on db, which OpenDB has opened. It does no I/O.
func New(db *sqlx.DB, cfg Config) *Store {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.TurnTail == 0 {
		cfg.TurnTail = defaultTurnTail
	}
	return &Store{
		db:       db,
		log:      cfg.Log,
		url:      cfg.URL,
		turnTail: int64(cfg.TurnTail),
		clock:    newClock(),
		wake:     newWakes(rand.Text()),
	}
}

// headColumns are those of log_head, and the clock while we are there.
const headColumns = `position, time, hash, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint`

// Head is the end of the log now.
func (s *Store) Head(ctx context.Context) (Head, error) {
	sent := s.clock.local()
	head, micros, err := scanHead(s.db.QueryRowContext(ctx, `SELECT `+headColumns+` FROM log_head`))
	if err != nil {
		return Head{}, fmt.Errorf("read the log's head: %w", err)
	}
	s.clock.learn(sent, s.clock.local(), time.UnixMicro(micros))
	return head, nil
}

func scanHead(row *sql.Row) (head Head, micros int64, err error) {
	if err := row.Scan(&head.Position, &head.Time, &head.Hash, &micros); err != nil {
		return Head{}, 0, err
	}
	head.Time = head.Time.UTC()
	return head, micros, nil
}
