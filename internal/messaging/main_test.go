package messaging_test

import (
	"testing"

	"go.uber.org/goleak"

	"boxoffice/internal/devstack"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(devstack.Tidy(m),
		// sarama counts with go-metrics, whose meters share one ticking goroutine that can't be stopped.
		goleak.IgnoreTopFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick"),
		// Watermill's own suite reads through a multiplier, which on a busy machine keeps a message that came at the end.
		goleak.IgnoreAnyFunction("github.com/ThreeDotsLabs/watermill/internal/subscriber.(*multiplier).Subscribe.func2"),
		goleak.IgnoreAnyFunction("github.com/ThreeDotsLabs/watermill/internal/subscriber.(*multiplier).Subscribe.func3"),
	)
}
