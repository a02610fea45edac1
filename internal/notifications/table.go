package notifications

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"boxoffice/eventstore"
)

const (
	// keep is how long a notification is known, longer than MaxAge by far: what is forgotten is too old to be stored again.
	keep         = 7 * 24 * time.Hour
	mostPruned   = 2_000            // rows of one page
	mostCounted  = 100_000          // rows
	maxReason    = 200              // characters
	claimTimeout = 10 * time.Second // for one claim
)

// table keeps what is to be told and what was, a row per sender and notification.
type table struct{ db *sqlx.DB }

// addition is a message and who wants it.
type addition struct {
	news    Notification
	senders []string
}

// add stores what is new of some messages. They are stored in order of their keys, so that two processes that
// store the same ones don't wait for each other in a circle.
func (t table) add(ctx context.Context, additions []addition) ([]struct{}, error) {
	type row struct {
		sender, id string
		at         time.Time
		news       json.RawMessage
	}
	var rows []row
	for _, a := range additions {
		news, err := json.Marshal(a.news)
		if err != nil {
			return nil, fmt.Errorf("encode notification %s: %w", a.news.ID, err)
		}
		for _, sender := range a.senders {
			rows = append(rows, row{sender, a.news.ID, a.news.At, news})
		}
	}
	slices.SortFunc(rows, func(a, b row) int {
		if c := strings.Compare(a.sender, b.sender); c != 0 {
			return c
		}
		return strings.Compare(a.id, b.id)
	})
	senders, ids := make([]string, len(rows)), make([]string, len(rows))
	ats, news := make([]time.Time, len(rows)), make([]json.RawMessage, len(rows))
	for i, r := range rows {
		senders[i], ids[i], ats[i], news[i] = r.sender, r.id, r.at, r.news
	}
	if _, err := t.db.ExecContext(ctx, `
		INSERT INTO notifications (sender, id, at, news, due_at)
		SELECT u.sender, u.id, u.at, u.news, now()
		FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::json[]) AS u(sender, id, at, news)
		ON CONFLICT DO NOTHING`,
		eventstore.TextArray(senders), eventstore.TextArray(ids), eventstore.TimeArray(ats), eventstore.JSONArray(news)); err != nil {
		return nil, fmt.Errorf("store %d notifications: %w", len(rows), err)
	}
	return make([]struct{}, len(additions)), nil
}

// claimed is a notification that one worker sends. Nobody else touches it until its lease ends.
type claimed struct {
	ID    string          `db:"id"`
	Tries int             `db:"tries"` // with the one that is made now
	News  json.RawMessage `db:"news"`
}

// claim leases what is due, the oldest first.
func (t table) claim(ctx context.Context, sender string, limit int, lease time.Duration) ([]claimed, error) {
	ctx, cancel := context.WithTimeout(ctx, claimTimeout)
	defer cancel()
	tx, err := t.db.BeginTxx(ctx, nil)
	if err != nil {
		return nil, fmt.Errorf("read what is due: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // after the commit it does nothing
	// Statistics are from before a burst or an outage, when nearly nothing waited: by them the planner would sort
	// all that waits, every time (28 ms of 40,000; 1.5 ms along the index).
	if _, err := tx.ExecContext(ctx, `SET LOCAL enable_bitmapscan = off; SET LOCAL enable_seqscan = off`); err != nil {
		return nil, fmt.Errorf("read what is due: %w", err)
	}
	var due []claimed
	if err := tx.SelectContext(ctx, &due, `
		UPDATE notifications n SET due_at = now() + $3::bigint * interval '1 millisecond', tries = n.tries + 1
		FROM (SELECT sender, id FROM notifications WHERE NOT ended AND sender = $1 AND due_at <= now()
			ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED) AS first
		WHERE n.sender = first.sender AND n.id = first.id
		RETURNING n.id, n.tries, n.news`, sender, limit, lease.Milliseconds()); err != nil {
		return nil, fmt.Errorf("read what is due: %w", err)
	}
	if err := tx.Commit(); err != nil {
		return nil, fmt.Errorf("claim what is due: %w", err)
	}
	return due, nil
}

// settlement is what a worker has to say of a claimed notification.
type settlement struct {
	id      string
	tries   int           // as it was claimed: who came later knows better
	counted int           // the tries it has now
	outcome Outcome       // without a result: it is tried again
	pause   time.Duration // before that
}

// settle writes what became of notifications. One that has ended stays as it is, and so does one that somebody
// else has claimed meanwhile, unless this is its end.
func (t table) settle(ctx context.Context, sender string, all []settlement) error {
	ids, results, reasons := make([]string, len(all)), make([]string, len(all)), make([]string, len(all))
	tries, counted, pauses := make([]int64, len(all)), make([]int64, len(all)), make([]int64, len(all))
	for i, s := range all {
		ids[i], results[i], reasons[i] = s.id, string(s.outcome.Result), storable(s.outcome.Reason)
		tries[i], counted[i], pauses[i] = int64(s.tries), int64(s.counted), s.pause.Milliseconds()
	}
	if _, err := t.db.ExecContext(ctx, `
		UPDATE notifications n SET ended = u.result <> '', result = u.result, reason = u.reason, tries = u.counted,
			due_at = CASE WHEN u.result <> '' THEN n.at + $8::bigint * interval '1 millisecond'
				ELSE now() + u.pause * interval '1 millisecond' END
		FROM unnest($2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[])
			AS u(id, result, reason, tries, counted, pause)
		WHERE n.sender = $1 AND n.id = u.id AND NOT n.ended AND (u.result <> '' OR n.tries = u.tries)`,
		sender, eventstore.TextArray(ids), eventstore.TextArray(results), eventstore.TextArray(reasons),
		eventstore.Int8Array(tries), eventstore.Int8Array(counted), eventstore.Int8Array(pauses), keep.Milliseconds()); err != nil {
		return fmt.Errorf("note what became of %d notifications: %w", len(all), err)
	}
	return nil
}

// waiting counts what a sender has to send.
func (t table) waiting(ctx context.Context, sender string) (int64, error) {
	var n int64
	if err := t.db.GetContext(ctx, &n, `SELECT count(*) FROM (
		SELECT FROM notifications WHERE NOT ended AND sender = $1 LIMIT $2) AS rows_found`, sender, mostCounted); err != nil {
		return 0, fmt.Errorf("count what waits: %w", err)
	}
	return n, nil
}

// prune forgets a page of what ended long ago, and says how much.
func (t table) prune(ctx context.Context, sender string) (int64, error) {
	result, err := t.db.ExecContext(ctx, `DELETE FROM notifications WHERE ctid = ANY(ARRAY(
		SELECT ctid FROM notifications WHERE ended AND sender = $1 AND due_at <= now() LIMIT $2 FOR UPDATE SKIP LOCKED))`, sender, mostPruned)
	if err != nil {
		return 0, fmt.Errorf("forget old notifications: %w", err)
	}
	return result.RowsAffected()
}

// storable is a reason as Postgres takes it.
func storable(reason string) string {
	reason = strings.ReplaceAll(strings.ToValidUTF8(reason, "?"), "\x00", "?")
	if text := []rune(reason); len(text) > maxReason {
		return string(text[:maxReason])
	}
	return reason
}
