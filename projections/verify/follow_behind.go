package verify

import (
	"context"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"boxoffice/eventstore"
)

// behindRows is how many rows that are behind are remembered from one round to the next, in a table.
const behindRows = 10_000

// laggard is a row at a version that the log has passed; 0: it is missing.
type laggard struct {
	table   table
	key     string
	version int64
}

// laggards are the rows that were behind in the last round and are in this one. One that is met again at the same
// version has not moved in between.
type laggards struct {
	before, now map[laggard]time.Time // since when
	count       int64                 // of those that did not move for too long
}

func (l *laggards) add(t table, r row, late time.Duration) {
	one, now := laggard{t, r.key, r.version}, time.Now()
	since, again := l.before[one]
	if !again {
		since = now
	}
	if l.now == nil {
		l.now = map[laggard]time.Time{}
	}
	if len(l.now) < behindRows {
		l.now[one] = since
	}
	if again && now.Sub(since) >= late {
		l.count++
	}
}

// end tells how many rows were behind for long, and begins another round.
func (l *laggards) end() int64 {
	n := l.count
	l.before, l.now, l.count = l.now, nil, 0
	return n
}

// behind tells how many rows are behind, by the newest round over orders, over shows and over open items.
type behind struct{ orders, shows, items int64 }

func (a *Auditor) publishBehind(rounds int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.status.Rounds += rounds
	b := &a.sweeps.ended
	a.status.Behind = b.orders + b.shows + b.items
}

// lags leaves out of rows that are behind those that no waiting brings on: their streams are parked or discarded.
func (s source) lags(ctx context.Context, t table, rows []row) ([]row, error) {
	if len(rows) == 0 || s.stopped == nil {
		return rows, nil
	}
	names := make([]string, len(rows))
	for i := range rows {
		names[i] = rows[i].stream
	}
	stopped, err := s.stopped(ctx, projectionOf(s.tables[t].table()), names)
	if err != nil {
		return nil, err
	}
	var out []row
	for _, r := range rows {
		if r.version >= stopped[r.stream] {
			out = append(out, r)
		}
	}
	return out, nil
}

// stoppedIn reads which streams a projection does not go on with, and from which version on.
func stoppedIn(db sqlx.QueryerContext) func(ctx context.Context, projection string, streams []string) (map[string]int64, error) {
	return func(ctx context.Context, projection string, streams []string) (map[string]int64, error) {
		var all []struct {
			Stream  string `db:"stream"`
			Version int64  `db:"version"`
		}
		err := sqlx.SelectContext(ctx, db, &all, `SELECT stream, max(version) AS version FROM (
	SELECT stream, version FROM parked WHERE projection = $1 AND stream = ANY($2::text[])
	UNION ALL SELECT stream, version FROM discarded WHERE projection = $1 AND stream = ANY($2::text[])
) AS stopped GROUP BY stream`, projection, eventstore.TextArray(streams))
		if err != nil {
			return nil, fmt.Errorf("read what is parked or discarded of %s: %w", projection, err)
		}
		out := map[string]int64{}
		for _, s := range all {
			out[s.Stream] = s.Version
		}
		return out, nil
	}
}
