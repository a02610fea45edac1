package notifications

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"

	"boxoffice/domain"
)

const (
	mostShows   = 1_000            // that are remembered
	showAge     = 10 * time.Second // how long what is remembered is not looked up again
	versionPage = 50_000           // of a show's stream that are passed over in one statement
	showTimeout = 5 * time.Second  // for one statement
)

// Shows knows what shows and their ticket types are called, as the log says. It keeps that in memory and reads on
// from there, because nearly all of a show's stream moves tickets and is passed over inside the database.
type Shows struct {
	db *sqlx.DB

	mu    sync.Mutex
	known map[int64]*knownShow
}

// knownShow is a show as far as it was read.
type knownShow struct {
	mu      sync.Mutex // held while it is read
	show    domain.Show
	version int64
	readAt  time.Time
}

// NewShows makes a reader of shows. It does no I/O.
func NewShows(db *sqlx.DB) *Shows { return &Shows{db: db, known: map[int64]*knownShow{}} }

// Get is a show as it was 10 s ago at most. Only its definition is filled in: nothing of it counts tickets.
func (s *Shows) Get(ctx context.Context, showID int64) (domain.Show, error) {
	s.mu.Lock()
	k := s.known[showID]
	if k == nil {
		if len(s.known) >= mostShows {
			clear(s.known) // it is read again from the log
		}
		k = &knownShow{}
		s.known[showID] = k
	}
	s.mu.Unlock()

	k.mu.Lock()
	defer k.mu.Unlock()
	if time.Since(k.readAt) < showAge {
		return k.show, nil
	}
	if err := s.read(ctx, showID, k); err != nil {
		return domain.Show{}, fmt.Errorf("read show %d: %w", showID, err)
	}
	return k.show, nil
}

// read goes on where it stopped, page by page, each a statement of its own.
func (s *Shows) read(ctx context.Context, showID int64, k *knownShow) error {
	ctx, cancel := context.WithTimeout(ctx, showTimeout)
	defer cancel()
	stream := domain.ShowStream(showID)
	var newest int64
	if err := s.db.GetContext(ctx, &newest, `SELECT coalesce(max(version), 0) FROM events WHERE stream = $1`, stream); err != nil {
		return err
	}
	for k.version < newest {
		end := min(k.version+versionPage, newest)
		var rows []struct {
			Type   string `db:"type"`
			Schema int    `db:"schema_version"`
			Data   []byte `db:"data"`
		}
		if err := s.db.SelectContext(ctx, &rows, `SELECT type, schema_version, data FROM events
			WHERE stream = $1 AND version > $2 AND version <= $3
				AND type IN ('ShowCreated', 'ShowChanged', 'TicketTypeAdded', 'TicketTypeChanged')
			ORDER BY version`, stream, k.version, end); err != nil {
			return err
		}
		for _, r := range rows {
			event, err := domain.Decode(r.Type, r.Schema, r.Data)
			if err != nil {
				return fmt.Errorf("event %s: %w", r.Type, err)
			}
			k.show.Evolve(event)
		}
		k.version = end
	}
	k.readAt = time.Now()
	return nil
}
