package projections

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/lib/pq"

	"boxoffice/eventstore"
)

// Refused reports whether Postgres refused what was to be stored, and will refuse it again: data that is no value
// of its column, a constraint, a limit.
func Refused(err error) bool {
	pqErr, ok := errors.AsType[*pq.Error](err)
	if !ok {
		return false
	}
	switch pqErr.Code.Class() {
	case "22", "23", "54":
		return true
	default:
		return false
	}
}

// maxKey is how long a row's key may be, in bytes. Postgres can't index much longer ones.
const maxKey = 2_000

func storable(key string) bool {
	return len(key) <= maxKey && utf8.ValidString(key) && !strings.ContainsRune(key, 0)
}

// unsavable finds the events of a batch after which their rows can't be stored, one of each stream, by trying
// stream after stream and event after event. Without it such an event would stop its whole partition.
func (a *Applier) unsavable(ctx context.Context, events []eventstore.Recorded) (map[string]error, error) {
	var streams []string
	byStream := map[string][]eventstore.Recorded{}
	for _, e := range events {
		if byStream[e.Stream] == nil {
			streams = append(streams, e.Stream)
		}
		byStream[e.Stream] = append(byStream[e.Stream], e)
	}
	poison := map[string]error{}
	for _, stream := range streams {
		own := byStream[stream]
		err := a.trySave(ctx, own)
		if err != nil && !Refused(err) {
			return nil, err
		}
		for n := 1; err != nil && n <= len(own); n++ {
			one := a.trySave(ctx, own[:n])
			if one != nil && !Refused(one) {
				return nil, one
			}
			if one != nil {
				poison[own[n-1].ID()] = fmt.Errorf("%w: %s: its row can't be stored: %w", ErrPoison, own[n-1].ID(), one)
				break
			}
		}
	}
	return poison, nil
}

// trySave folds events and stores their rows in a transaction that comes to nothing.
func (a *Applier) trySave(ctx context.Context, events []eventstore.Recorded) error {
	f, err := foldBatch(ctx, a.projection, a.db, a.store.ReadStream, events, nil)
	if err != nil {
		return err
	}
	tx, err := a.db.BeginTxx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	err = f.rows.Save(ctx, tx)
	if rolled := tx.Rollback(); err == nil {
		err = rolled
	}
	return err
}
