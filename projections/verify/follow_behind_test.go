package verify

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"boxoffice/eventstore"
)

const emptied = `TRUNCATE availability, shows, ticket_types, order_status, open_items, parked, discarded`

func TestTheRoundsSeeOldRowsThatAreMissingOrChanged(t *testing.T) {
	t.Parallel()
	db := stored(t, story())
	for statement, want := range map[string]struct {
		kinds  string // of findings, by table
		behind int64
	}{
		`DELETE FROM availability WHERE ticket_type_id = 2`: {"", 1},
		`DELETE FROM shows`:                                     {"", 1},
		`DELETE FROM ticket_types`:                              {"", 2},
		`UPDATE availability SET version = version - 1`:         {"", 2},
		`UPDATE ticket_types SET version = version + 1`:         {"row ticket_types, row ticket_types", 0},
		`DELETE FROM order_status`:                              {"", 3},
		`DELETE FROM open_items WHERE kind = 'REFUND_FAILED'`:   {"", 1},
		`DELETE FROM open_items`:                                {"", 3},
		`UPDATE open_items SET amount = 1`:                      {"row open_items, row open_items, row open_items", 0},
		`UPDATE open_items SET version = 99`:                    {"row open_items, row open_items, row open_items", 0},
		`UPDATE open_items SET id = 'x' WHERE id LIKE 'inbox%'`: {"row open_items", 1},
		`UPDATE open_items SET version = version - 1`:           {"row open_items, row open_items, row open_items", 3},
		`SELECT`: {"", 0},
	} {
		t.Run(statement, func(t *testing.T) {
			if _, err := db.ExecContext(t.Context(), emptied); err != nil {
				t.Fatal(err)
			}
			project(t, db, 1000)
			if _, err := db.ExecContext(t.Context(), statement); err != nil {
				t.Fatal(err)
			}
			a := auditingIn(db)
			for range 3 {
				goesRound(t, a)
			}
			var kinds []string
			for _, v := range violated(a) {
				words := strings.Fields(v)
				kinds = append(kinds, words[0]+" "+words[1])
			}
			if got := strings.Join(kinds, ", "); got != want.kinds {
				t.Errorf("found %q, want %q", violated(a), want.kinds)
			}
			if behind := a.Status().Behind; behind != want.behind {
				t.Errorf("%d rows are behind, want %d", behind, want.behind)
			}
			if _, err := db.ExecContext(t.Context(), emptied); err != nil {
				t.Fatal(err)
			}
			project(t, db, 1000)
			goesRound(t, a)
			goesRound(t, a)
			if behind := a.Status().Behind; behind != 0 {
				t.Errorf("%d rows are behind after they were made again", behind)
			}
		})
	}
}

func TestWhatIsParkedOrDiscardedIsNotBehind(t *testing.T) {
	t.Parallel()
	db := stored(t, story())
	for name, c := range map[string]struct {
		stop   string
		behind int64
	}{
		"nothing is stopped": {`SELECT $1, $2`, 1},
		"it is discarded":    {`INSERT INTO discarded SELECT 'order_status', 'order-' || $1, $2, 'by hand', 1, now()`, 0},
		"it is parked":       {`INSERT INTO parked SELECT 'order_status', 'order-' || $1, $2, 1, 'X', 'by hand'`, 0},
		"another is":         {`INSERT INTO parked SELECT 'order_status', 'order-' || $1 || 'x', $2, 1, 'X', 'by hand'`, 1},
		"it is, elsewhere":   {`INSERT INTO parked SELECT 'sales_by_day', 'order-' || $1, $2, 1, 'X', 'by hand'`, 1},
		"up to a version":    {`INSERT INTO parked SELECT 'order_status', 'order-' || $1, $2::bigint - 1, 1, 'X', 'by hand'`, 1},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := db.ExecContext(t.Context(), emptied); err != nil {
				t.Fatal(err)
			}
			project(t, db, 1000)
			var version int64
			if err := db.GetContext(t.Context(), &version, `UPDATE order_status SET version = version - 1 WHERE order_id = $1 RETURNING version + 1`, orderD); err != nil {
				t.Fatal(err)
			}
			if _, err := db.ExecContext(t.Context(), strings.NewReplacer("$1", "'"+orderD+"'", "$2", strconv.FormatInt(version, 10)).Replace(c.stop)); err != nil {
				t.Fatal(err)
			}
			a := auditingIn(db)
			goesRound(t, a)
			goesRound(t, a)
			if behind := a.Status().Behind; behind != c.behind {
				t.Errorf("%d rows are behind, want %d", behind, c.behind)
			}
		})
	}
}

func TestALongPastIsReadInManyTransactions(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cfg   AuditConfig
		reads int // that one transaction has time for
	}{
		"because time is up":                 {AuditConfig{past: -1}, 1000},
		"because a transaction was ended":    {AuditConfig{}, 1},
		"because of both, one after another": {AuditConfig{past: -1}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			commits := story()
			log := write(t, commits[:commitPaid])
			a := auditing(log, c.cfg)
			looks(t, a)
			sound, opened, read := a.open, 0, map[string]bool{}
			a.open = func(ctx context.Context, fn func(context.Context, source) error) error {
				opened++
				return sound(ctx, func(ctx context.Context, s source) error {
					s.past = &shortPast{past: s.past, left: c.reads, read: read}
					return fn(ctx, s)
				})
			}
			for _, commit := range commits[commitPaid:] {
				log.append(t, commit)
			}
			for range 10 {
				if a.look(t.Context()) {
					break
				}
			}
			looks(t, a)
			expects(t, a, nil)
			sameStates(t, a, log)
			if len(read) == 0 || opened < 4 {
				t.Errorf("%d streams in %d transactions", len(read), opened)
			}
		})
	}
}

// shortPast can be read a few times, and no stream a second time.
type shortPast struct {
	past
	left int
	read map[string]bool
}

func (p *shortPast) streams(ctx context.Context, names []string, upTo int64) ([]eventstore.Recorded, error) {
	if p.left--; p.left < 0 {
		return nil, errors.New("the time is up")
	}
	for _, name := range names {
		if p.read[name] {
			return nil, errors.New("again: " + name)
		}
		p.read[name] = true
	}
	return p.past.streams(ctx, names, upTo)
}

func TestARowIsBehindWhenItDoesNotMoveForLong(t *testing.T) {
	t.Parallel()
	var l laggards
	for _, c := range []struct {
		version int64
		late    time.Duration
		want    int64
	}{{1, 0, 0}, {1, time.Hour, 0}, {1, 0, 1}, {2, 0, 0}, {2, 0, 1}} {
		l.add(showsTable, row{key: "1", version: c.version}, c.late)
		if got := l.end(); got != c.want {
			t.Errorf("%d rows are behind at version %d, want %d", got, c.version, c.want)
		}
	}
	if slices.Contains([]int64{l.end()}, 1) || len(l.before) != 0 {
		t.Error("a round without it does not forget it")
	}
}
