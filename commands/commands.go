// Package commands is the write side: it takes commands from HTTP and Kafka, decides them in batches
// over folded states, and appends what was decided to the log.
package commands

import (
	"errors"
	"time"

	"boxoffice/domain"
	"boxoffice/eventstore"
	"boxoffice/internal/views"
)

// Origin is where a command comes from, and what is stored beside its events because of that.
type Origin struct {
	Actor     string // customer, operator:NAME, channel:NAME, gateway:NAME or system
	Request   Request
	Causation string               // id of the event that made the actor act
	Trace     string               // W3C traceparent
	Contact   *eventstore.Contact  // of a placement: who ordered
	Delivery  *eventstore.Delivery // of a webhook: what was delivered

	turn *turn // of a message of commands-topic: when it may enter the queue; else nil
}

// Request identifies a request that may come again. The zero value means that the command carries no key.
type Request struct {
	Key  eventstore.RequestKey
	Body string // hash of what was asked for; the same key with another body is refused
}

// Keyed reports whether the request carries an idempotency key.
func (r Request) Keyed() bool { return r.Key != eventstore.RequestKey{} }

// Answer is what became of a command that was not refused.
type Answer struct {
	Result   domain.Result
	Order    *domain.Order    // as the command left it, where the command was about an order
	Show     *views.ShowFacts // as the command left it, where the command was about a show
	Position int64            // of the command's last event on its order or show; the head where nothing changed
	Batch    string           // id of the append with the command's events; empty where there was none, or another process' one
	Replayed bool             // the request was answered before, this is the first answer again
}

// ActorSystem is the service itself: what is due ends, what a gateway answered is recorded.
const ActorSystem = "system"

// actorCustomer is somebody who buys, known by nothing but an order's token.
const actorCustomer = "customer"

// Faults of the write side. A business refusal is a *domain.Rejection.
var (
	// ErrOverloaded: the queue is full; nothing happened and the command may be sent again.
	ErrOverloaded = errors.New("too many commands are waiting")
	// ErrUnavailable: the log can't be reached or its outcome is not known; the same request again gets the true answer.
	ErrUnavailable = errors.New("the log can't be reached")
)

// errUnfit: a command, or the state it needs, can't be encoded or decoded. Its neighbours are not to suffer from it.
var errUnfit = errors.New("command does not fit the log")

// Limits of the write side.
const (
	maxBatch     = 512             // commands decided together
	ownShare     = 8               // of a full batch, what the service sends itself gets a part of so many
	ownLeast     = 8               // and never less than so many
	maxQueue     = 8192            // commands that wait for the writer
	drainLimit   = 3 * time.Second // how long a stopping writer works on what it has taken
	stateLimit   = 100_000         // orders, and payments, whose states are kept in memory
	showLimit    = 2_000           // shows whose states are kept in memory
	tailPage     = 2_000           // events read at once to follow the log
	loadPage     = 5_000           // events read at once to fold a stream
	leaseSize    = 4_096           // order ids leased at once
	calmTurns    = 8               // turns without another writer before optimism returns
	faultPause   = 50 * time.Millisecond
	faultCeiling = 2 * time.Second // longest pause between tries to start
)
