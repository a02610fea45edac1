package eventstore

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// generationDays is how long one generation of idempotency keys is filled. A key is found for one to two
// generations, so for at least this long.
const generationDays = 30

func generationOf(at time.Time) int64 { return at.Unix() / (generationDays * 24 * 60 * 60) }

// NewRequestKey is the key of a request: the first 16 bytes of SHA-256 over its route, caller and
// idempotency key, each with its length before it.
func NewRequestKey(route, caller, key string) RequestKey {
	b := make([]byte, 0, 256)
	for _, part := range []string{route, caller, key} {
		b = appendSized(b, part)
	}
	sum := sha256.Sum256(b)
	return RequestKey(sum[:16])
}

// String is the key as Metadata.Key carries it: 22 characters of base64url.
func (k RequestKey) String() string { return base64.RawURLEncoding.EncodeToString(k[:]) }

// requestKeyLength is the length of RequestKey.String.
const requestKeyLength = 22

// ParseRequestKey reads what String wrote.
func ParseRequestKey(text string) (RequestKey, error) {
	var key RequestKey
	if len(text) != requestKeyLength {
		return key, fmt.Errorf("request key: %d characters, must be %d", len(text), requestKeyLength)
	}
	if _, err := base64.RawURLEncoding.Strict().Decode(key[:], []byte(text)); err != nil {
		return RequestKey{}, fmt.Errorf("request key: %w", err)
	}
	return key, nil
}

// KeyOf finds the request key in an event's metadata; false if it carries none. It does not decode the
// JSON: inside a string the quotes of the member's name would be escaped, so its bytes stand for it alone.
func KeyOf(metadata json.RawMessage) (RequestKey, bool) {
	const member = `"key":"`
	_, rest, ok := bytes.Cut(metadata, []byte(member))
	if !ok {
		return RequestKey{}, false
	}
	text, _, ok := bytes.Cut(rest, []byte{'"'})
	if !ok {
		return RequestKey{}, false
	}
	key, err := ParseRequestKey(string(text))
	return key, err == nil
}

// LookupRequests finds which keys the index knows, and the position of the first event of each. It is
// complete up to IndexedTo only; what came after is the caller's to know from the log.
func (s *Store) LookupRequests(ctx context.Context, keys []RequestKey) (map[RequestKey]int64, error) {
	found := make(map[RequestKey]int64)
	if len(keys) == 0 {
		return found, nil
	}
	if err := checkPage(len(keys)); err != nil {
		return nil, err
	}
	// Not prepared: a plan from when the table was empty would scan it for ever.
	rows, err := s.db.QueryContext(ctx, `SELECT key, max(position) FROM requests WHERE key = ANY($1::bytea[]) GROUP BY key`, keyArray(keys))
	if err != nil {
		return nil, fmt.Errorf("look up %d requests: %w", len(keys), err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var key sql.RawBytes
		var position int64
		if err := rows.Scan(&key, &position); err != nil {
			return nil, fmt.Errorf("look up %d requests: %w", len(keys), err)
		}
		found[RequestKey(key)] = position
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("look up %d requests: %w", len(keys), err)
	}
	return found, nil
}

func keyArray(keys []RequestKey) []byte {
	return array(oidBytea, keys, func(b []byte, key RequestKey) []byte { return appendBytes(b, key[:]) })
}

// IndexedTo is the position up to which the index of requests is complete.
func (s *Store) IndexedTo(ctx context.Context) (int64, error) {
	var position int64
	if err := s.db.QueryRowContext(ctx, `SELECT position FROM requests_mark`).Scan(&position); err != nil {
		return 0, fmt.Errorf("read the mark of requests: %w", err)
	}
	return position, nil
}

// request is a row of the index.
type request struct {
	key      RequestKey
	position int64
}

// IndexRequests indexes up to limit more events, none after upTo, and answers how far the index is
// complete now. Any number of processes may call it: one of them moves the mark, the others' work is
// dropped. When a generation of 30 days begins, a call ends there and the next one goes on.
func (s *Store) IndexRequests(ctx context.Context, upTo int64, limit int) (int64, error) {
	if err := checkPage(limit); err != nil {
		return 0, err
	}
	var mark, generation int64
	if err := s.db.QueryRowContext(ctx, `SELECT position, generation FROM requests_mark`).Scan(&mark, &generation); err != nil {
		return 0, fmt.Errorf("read the mark of requests: %w", err)
	}
	page, err := s.requestsAfter(ctx, mark, upTo, limit)
	if err != nil {
		return 0, err
	}
	if page.last == mark {
		return mark, nil
	}
	moved, err := s.writeRequests(ctx, mark, generation, page)
	if err != nil {
		return 0, fmt.Errorf("index requests after %d: %w", mark, err)
	}
	if !moved {
		return s.IndexedTo(ctx)
	}
	return page.last, nil
}

// requestPage is what a stretch of the log adds to the index, all of one generation.
type requestPage struct {
	generation int64
	last       int64 // position of its last event
	requests   []request
}

func (s *Store) requestsAfter(ctx context.Context, after, upTo int64, limit int) (requestPage, error) {
	page := requestPage{last: after}
	rows, err := s.db.QueryContext(ctx, `SELECT position, recorded_at, metadata FROM events
		WHERE position > $1 AND position <= $2 ORDER BY position LIMIT $3`, after, upTo, limit)
	if err != nil {
		return page, fmt.Errorf("read the log after %d: %w", after, err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var position int64
		var at time.Time
		var metadata sql.RawBytes
		if err := rows.Scan(&position, &at, &metadata); err != nil {
			return page, fmt.Errorf("read the log after %d: %w", after, err)
		}
		if position != page.last+1 {
			return page, fmt.Errorf("%w: %d where %d must be", ErrGap, position, page.last+1)
		}
		generation := generationOf(at)
		if page.last == after {
			page.generation = generation
		}
		if generation != page.generation {
			return page, nil
		}
		page.last = position
		if key, ok := KeyOf(json.RawMessage(metadata)); ok {
			page.requests = append(page.requests, request{key, position})
		}
	}
	if err := rows.Err(); err != nil {
		return page, fmt.Errorf("read the log after %d: %w", after, err)
	}
	return page, nil
}

// writeRequests moves the mark first, so that of two processes one waits here and then finds it moved.
func (s *Store) writeRequests(ctx context.Context, mark, generation int64, page requestPage) (moved bool, err error) {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return false, err
	}
	defer func() { _ = tx.Rollback() }()
	result, err := tx.ExecContext(ctx, `UPDATE requests_mark SET position = $1, generation = $2 WHERE position = $3 AND generation = $4`,
		page.last, page.generation, mark, generation)
	if err != nil {
		return false, fmt.Errorf("move the mark: %w", err)
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return false, err
	}
	for _, empty := range outdated(generation, page.generation) {
		if _, err := tx.ExecContext(ctx, empty); err != nil {
			return false, fmt.Errorf("begin generation %d: %w", page.generation, err)
		}
	}
	if len(page.requests) > 0 {
		if err := insertRequests(ctx, tx, page); err != nil {
			return false, err
		}
	}
	if err := tx.Commit(); err != nil {
		return false, fmt.Errorf("commit: %w", err)
	}
	return true, nil
}

// outdated is the statements that empty what a new generation displaces: the partition it takes, and the
// other one too if a whole generation passed in between.
func outdated(before, now int64) []string {
	truncate := [2]string{`TRUNCATE requests_0`, `TRUNCATE requests_1`}
	switch {
	case now <= before:
		return nil
	case now == before+1:
		return truncate[now%2 : now%2+1]
	default:
		return truncate[:]
	}
}

// insertRequests inserts in key order, which keeps the random keys from touching every page twice.
func insertRequests(ctx context.Context, tx *sql.Tx, page requestPage) error {
	slices.SortFunc(page.requests, func(a, b request) int { return bytes.Compare(a.key[:], b.key[:]) })
	keys := array(oidBytea, page.requests, func(b []byte, r request) []byte { return appendBytes(b, r.key[:]) })
	positions := array(oidInt8, page.requests, func(b []byte, r request) []byte { return appendInt8(b, r.position) })
	if _, err := tx.ExecContext(ctx, `INSERT INTO requests (key, generation, position)
		SELECT u.key, $1, u.position FROM unnest($2::bytea[], $3::bigint[]) AS u(key, position)
		ON CONFLICT (key, generation) DO NOTHING`, page.generation%2, keys, positions); err != nil {
		return fmt.Errorf("insert %d requests: %w", len(page.requests), err)
	}
	return nil
}
