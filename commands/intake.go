package commands

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"boxoffice/domain"
	"boxoffice/internal/httpapi"
)

// Intake is the Kafka entrance of the write side: it reads messages of commands-topic as strictly as HTTP reads
// requests, sends commands in the order of the topic, and tells of refusals.
type Intake struct {
	IntakeConfig

	last <-chan struct{} // closed when the newest message has taken its turn
}

// IntakeConfig is what an Intake works with.
type IntakeConfig struct {
	Door *Door // what it has in common with HTTP
	// Announce tells whoever sent a command of its refusal. The message is done only after it succeeded, so it
	// is called again when the process ends in between.
	Announce func(ctx context.Context, r Refusal) error
	// Count is told what became of every message; command is one of a few, whatever was sent. May be nil.
	Count func(command, result string)
}

// Refusal is what the sender of a refused command is told.
type Refusal struct {
	Reference Reference
	OrderID   string // of a command about an order, else empty
	ShowID    int64  // of a placement, else 0
	Code      domain.Code
	Detail    string // one sentence for people
	At        time.Time
	Asked     [sha256.Size]byte // of the message's type and body: what only a true repeat has in common
}

// Results that Count hears of, besides the codes of refusals.
const (
	resultAccepted = "accepted"
	resultRepeated = "repeated"
	resultDead     = "dead"  // it goes to the dead letters
	resultFault    = "fault" // the same message comes again
)

// faultTries is how often a command is tried that the log can't take, before its message goes to the dead letters.
const faultTries = 3

// NewIntake makes an intake. It does nothing by itself: Line and Handle are for a Watermill router.
func NewIntake(cfg IntakeConfig) *Intake {
	if cfg.Count == nil {
		cfg.Count = func(string, string) {}
	}
	return &Intake{IntakeConfig: cfg}
}

// Handle does what one message asks for; it is a Watermill handler, and many may run at a time. A refusal is
// announced and no error. Errors with a method Permanent() bool are for the dead letters: the message can't be
// read or its command can't be stored. After all others the same message has to come again.
func (i *Intake) Handle(msg *message.Message) error {
	ctx := msg.Context()
	turn := turnOf(ctx)
	defer turn.leave(ctx) // whatever becomes of it, it does not hold up those behind it
	w, err := i.read(msg)
	if err != nil {
		i.Count(w.name(), resultDead)
		return permanent{err}
	}
	w.origin.turn = turn
	answer, err := i.decide(ctx, w)
	if rejection, refused := errors.AsType[*domain.Rejection](err); refused {
		return i.refuse(ctx, w, rejection)
	}
	result := resultAccepted
	switch {
	case err == nil && answer.Replayed:
		result = resultRepeated
	case isPermanent(err):
		result = resultDead
	case err != nil:
		result = resultFault
	}
	i.Count(w.name(), result)
	return err
}

// decide sends the command. What has to do with the command and not with the moment is tried a few times only.
func (i *Intake) decide(ctx context.Context, w wish) (Answer, error) {
	if w.refused != nil {
		return Answer{}, w.refused
	}
	for try := 1; ; try++ {
		answer, err := i.Door.Send(ctx, w.command, w.origin)
		if _, refused := errors.AsType[*domain.Rejection](err); err == nil || refused || passes(err) {
			return answer, err
		}
		if try == faultTries {
			return answer, permanent{fmt.Errorf("%s failed %d times: %w", w.name(), try, err)}
		}
		select {
		case <-time.After(faultPause):
		case <-ctx.Done():
			return answer, fmt.Errorf("%w: %w", ctx.Err(), err)
		}
	}
}

// passes reports whether a fault is one of the moment.
func passes(err error) bool {
	return errors.Is(err, ErrOverloaded) || errors.Is(err, ErrUnavailable) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// refuse tells of a refusal.
func (i *Intake) refuse(ctx context.Context, w wish, r *domain.Rejection) error {
	refusal := Refusal{Reference: w.reference, Code: r.Code, Detail: r.Detail, At: i.Door.Now(), Asked: w.asked}
	switch c := w.command.(type) {
	case domain.PlaceOrder:
		refusal.ShowID = c.ShowID
	case domain.CancelOrder:
		refusal.OrderID = c.OrderID
	}
	if err := i.Announce(ctx, refusal); err != nil {
		i.Count(w.name(), resultFault)
		return fmt.Errorf("announce that %s was refused: %w", w.name(), err)
	}
	i.Count(w.name(), string(r.Code))
	return nil
}

// unauthorized refuses a wrong token, and says the same of an order that does not exist.
func unauthorized() *domain.Rejection {
	return &domain.Rejection{Code: httpapi.CodeUnauthorized, Detail: "The token is not the order's."}
}

// permanent is an error that no repetition cures.
type permanent struct{ error }

// Permanent tells the transport that the message is for the dead letters.
func (permanent) Permanent() bool { return true }

// Unwrap gives the cause.
func (p permanent) Unwrap() error { return p.error }

func isPermanent(err error) bool {
	_, is := errors.AsType[permanent](err)
	return is
}
