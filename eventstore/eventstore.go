// Package eventstore keeps the log: events in streams, in one total order without gaps, in Postgres.
//
// Position is drawn under the one row of log_head inside the append, so it is dense and in commit
// order, and every reader asserts position = last + 1. The same row is the fence: an append succeeds
// only for a writer that has seen everything before it.
package eventstore

import (
	"encoding/json"
	"errors"
	"time"
)

// Head is the end of the log.
type Head struct {
	Position int64     // of the last event; 0 for an empty log
	Time     time.Time // of the last append, UTC, whole microseconds; never runs backwards
	Hash     []byte    // of the last append, 32 bytes; covers all that came before
}

// Event is an event to be appended.
type Event struct {
	Stream        string
	Version       int64 // place in the stream, 1, 2, 3 …
	Type          string
	SchemaVersion int16
	Data          json.RawMessage
	Metadata      json.RawMessage // see Metadata
}

// Recorded is an event of the log.
type Recorded struct {
	Event
	Position   int64
	RecordedAt time.Time
	Hash       []byte // only on the last event of its append
}

// ID is the event's id, the same wherever it is published: stream:version.
func (e Event) ID() string { return eventID(e.Stream, e.Version) }

// Metadata is what is stored beside an event's data. Fields that do not apply are left out.
type Metadata struct {
	Batch     string `json:"batch"`               // the append's id
	CommandID string `json:"commandId,omitempty"` // the command that caused it; not on coalesced events, whose members name theirs
	Actor     string `json:"actor,omitempty"`     // customer, operator:NAME, gateway:NAME, channel:NAME or system
	Key       string `json:"key,omitempty"`       // on a command's first event: RequestKey of its idempotency key
	Body      string `json:"body,omitempty"`      // on a command's first event: hash of the request's body
	Causation string `json:"causation,omitempty"` // id of the event that made the actor act
	Trace     string `json:"trace,omitempty"`     // W3C traceparent
}

// Contact is the only place where a person's name stands: one row per order, found by the position of its OrderPlaced.
type Contact struct {
	Position    int64  `db:"position"` // filled by Append from Index
	Index       int    `db:"-"`        // which event of the batch it belongs to
	CustomerRef string `db:"customer_ref"`
	CustomerID  string `db:"customer_id"`
	Email       string `db:"email"`
	Name        string `db:"name"`
}

// Due says when a show next needs work. It replaces what is stored for the show.
type Due struct {
	ShowID int64
	At     time.Time // zero: nothing is due, the row is removed
}

// Delivery is a gateway's delivery, kept beside the append that judged it.
type Delivery struct {
	Index      int // which event of the batch judged it
	Gateway    string
	DeliveryID string
	ReceivedAt time.Time
	Body       []byte // as it came
}

// Batch is what one append writes: all or nothing, in one statement and one commit.
type Batch struct {
	Head       Head      // the head it was decided on; the fence
	Time       time.Time // of all its events; not before Head.Time
	Events     []Event
	Contacts   []Contact
	Due        []Due
	Deliveries []Delivery
}

// RequestKey identifies a request by route, caller and idempotency key.
type RequestKey [16]byte

// Errors of the log. Everything else that an operation returns is a fault of Postgres or the network.
var (
	// ErrFenced: somebody else has appended since Batch.Head. Nothing was written.
	ErrFenced = errors.New("log: the head has moved")
	// ErrRefused: Postgres refuses the batch's content (a value it can't store, a version that exists). Nothing was written.
	ErrRefused = errors.New("log: batch refused")
	// ErrUnknown: it could not be learned whether the batch was written. The same batch must be appended again.
	ErrUnknown = errors.New("log: outcome unknown")
	// ErrGap: a reader met a position that is not last + 1. It cannot happen, and reading stops.
	ErrGap = errors.New("log: gap in positions")
	// ErrReplaced: the log's head is behind or differs from what was folded (a promoted, lagging replica). Drop all caches.
	ErrReplaced = errors.New("log: the log was replaced")
	// ErrTailTooLong: too much was appended to be read under the head's lock; read it before taking a turn.
	ErrTailTooLong = errors.New("log: tail too long")
)
