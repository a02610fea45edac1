package messaging

import (
	"context"
	"errors"

	"github.com/ThreeDotsLabs/watermill/message"
)

// outcome takes what a handler returned back to the transport: Watermill's Nack carries no reason.
// It is written before the message is acked or nacked and read after.
type outcome struct {
	err      error
	answered bool // the sender waits and is told: for the router the message is done
}

type outcomeKey struct{}

func outcomeOf(ctx context.Context) *outcome {
	o, _ := ctx.Value(outcomeKey{}).(*outcome)
	return o
}

// ReportErrors is a middleware for routers over this package's transports; add it first, so that it is the
// outermost. A handler's error then reaches the sender (Bus: Publish returns it, the router neither logs nor
// counts it) or the WindowedSubscriber, which decides by it between another try and the dead letters.
func ReportErrors(next message.HandlerFunc) message.HandlerFunc {
	return func(msg *message.Message) ([]*message.Message, error) {
		told := outcomeOf(msg.Context())
		produced, err := next(msg)
		if err == nil || told == nil {
			return produced, err
		}
		told.err = err
		if told.answered {
			return nil, nil
		}
		return nil, err
	}
}

// Permanent marks an error as one that no repetition will cure. Any error with a method Permanent() bool
// counts likewise, so that handlers need not import this package.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return permanent{err}
}

type permanent struct{ error }

func (permanent) Permanent() bool { return true }
func (p permanent) Unwrap() error { return p.error }

// IsPermanent reports whether err is marked as permanent. An error of a canceled or expired context never
// is: whoever was interrupted has judged nothing.
func IsPermanent(err error) bool {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	marked, ok := errors.AsType[interface {
		error
		Permanent() bool
	}](err)
	return ok && marked.Permanent()
}
