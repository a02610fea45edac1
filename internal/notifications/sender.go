package notifications

import (
	"context"
	"errors"
)

// Sender tells notifications in one way. A new one is one file here and one line where they are wired.
type Sender interface {
	// Name is how the sender is known in the table and in metrics. It is a literal and never changes.
	Name() string
	// Wants reports whether the sender has anything to tell about it. It is asked for every message, so it does no I/O.
	Wants(ctx context.Context, n Notification) bool
	// Send tells it, and says what became of it. An error means that it is tried again, until it is older than
	// MaxAge; ErrUnavailable in it, that nothing else can be sent now either. Neither an error nor an outcome may
	// name a person. Many are sent at a time.
	Send(ctx context.Context, n Notification) (Outcome, error)
}

// ErrUnavailable is in the error of a sender that can't send anything now.
var ErrUnavailable = errors.New("can't send anything now")

// Result is what became of a notification at one sender.
type Result string

// The results. All but Retried are final.
const (
	Sent      Result = "sent"
	Skipped   Result = "skipped"   // there is nobody to be told
	Overtaken Result = "overtaken" // it is not true any more; what came after it is told
	Failed    Result = "failed"    // refused for good
	Expired   Result = "expired"   // older than MaxAge
	Retried   Result = "retried"   // it did not work and is tried again
)

// Results are all there are, for those that count them.
func Results() []Result { return []Result{Sent, Skipped, Overtaken, Failed, Expired, Retried} }

// Outcome is a final result and, where nothing was sent, why.
type Outcome struct {
	Result Result
	Reason string
}
