// Package projections folds the log's events into read models and answers queries from them.
//
// A projection is a value: a name, tables and a pure fold. The same fold runs live (batches from Kafka,
// rows and checkpoint in one transaction), in a replay (in memory) and in tests. A read-model row is fed
// by one stream and carries the version it shows, so a row at a version is a function of that stream's
// events up to it and of nothing else: repeats are skipped, gaps are healed from the log, and whoever
// writes a row with a higher version is right.
package projections

import (
	"context"
	"errors"

	"github.com/jmoiron/sqlx"

	"boxoffice/eventstore"
)

// Definition names a read model and where it comes from and goes to.
type Definition struct {
	Name   string   // names its checkpoints and parked streams
	Number int      // of its form; a new number is built by replay beside the old one
	Topic  string   // the topic that carries its streams, without the deployment's prefix
	Prefix string   // of its streams' names, so that others need not be decoded; empty: it looks at all
	Types  []string // of the events that feed rows, where only some of all streams do; empty: those of Prefix
	Tables []string // what Save writes, and nothing else does; in the order in which queries join them
}

// Projection is a read model, whatever its rows look like.
type Projection interface {
	Definition() Definition
	// Key tells which row an event feeds; false: none. An error means that the event can't be read.
	Key(e eventstore.Recorded) (key string, ok bool, err error)
	// Rows begins with no rows in memory.
	Rows() Bulk
}

// Rows are rows of a read model in memory. They belong to one goroutine.
type Rows interface {
	// Load reads the rows of these keys; a key without a row is a row at version 0.
	Load(ctx context.Context, db sqlx.QueryerContext, keys []string) error
	// Fold applies an event to the row that Key tells. Errors: ErrPoison, and nothing was changed.
	Fold(key string, e eventstore.Recorded) (Step, error)
	// Save writes the rows that were changed, each only if its version is above the stored one.
	Save(ctx context.Context, tx *sqlx.Tx) error
}

// Bulk are the rows of a read model that is built anew: all of them are in memory, or those of a range of keys.
type Bulk interface {
	Rows
	// Keys are the rows in memory, in the order of their keys.
	Keys() []RowKey
	// Filled are rows as they stand in the tables.
	Filled(keys []RowKey) []Filled
	// Keep forgets all rows that are not wanted (nil: none), counts the others as stored, and tells how many there are.
	Keep(wanted func(key string) bool) int
}

// RowKey is a row in memory: its key, and the event that it shows last.
type RowKey struct {
	Key      string
	Version  int64
	Position int64
}

// Step is what an event did to its row.
type Step struct {
	Outcome Outcome
	Version int64 // of the row after the event, or as it stayed
}

// Outcome says whether an event was applied.
type Outcome int

// What an event can do to its row.
const (
	Folded Outcome = iota
	Repeat         // the row shows it already
	Gap            // events of the stream between the row and this one are missing; the row stayed
)

// ErrPoison marks an event that can't be read or folded. It will never be, so its stream is parked.
var ErrPoison = errors.New("projections: event can't be folded")

// The topics that feed read models, without the deployment's prefix.
const (
	OrdersTopic  = "orders-topic"
	PaymentTopic = "payment-settlement-topic"
)

// All returns every read model of this package.
func All() []Projection {
	return []Projection{Availability(), OrderStatus(), OpenItems(), SalesByDay()}
}
