package messaging_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/components/cqrs"
	"github.com/ThreeDotsLabs/watermill/message"

	"boxoffice/internal/messaging"
)

type named struct{ N int }

func (named) Name() string { return "boxoffice.Named" }

type traceKey struct{}

// runRouter runs a router with ReportErrors until the test ends.
func runRouter(t testing.TB, prepare func(*message.Router)) {
	t.Helper()
	router, err := message.NewRouter(message.RouterConfig{CloseTimeout: 10 * time.Second}, watermill.NopLogger{})
	if err != nil {
		t.Fatal(err)
	}
	router.AddMiddleware(messaging.ReportErrors)
	prepare(router)
	done := make(chan error, 1)
	go func() { done <- router.Run(context.WithoutCancel(t.Context())) }()
	<-router.Running()
	t.Cleanup(func() {
		if err := errors.Join(router.Close(), <-done); err != nil {
			t.Errorf("router: %v", err)
		}
	})
}

// newCommands returns a command bus with one handler behind it.
func newCommands(t testing.TB, handler cqrs.CommandHandler) *cqrs.CommandBus {
	t.Helper()
	bus := messaging.NewBus(messaging.BusConfig{})
	runRouter(t, func(router *message.Router) {
		processor, err := messaging.NewCommandProcessor(router, bus)
		if err == nil {
			err = processor.AddHandlers(handler)
		}
		if err != nil {
			t.Fatal(err)
		}
	})
	commands, err := messaging.NewCommandBus(bus)
	if err != nil {
		t.Fatal(err)
	}
	return commands
}

func TestCommandBus(t *testing.T) {
	t.Run("the handler gets the sender's context", func(t *testing.T) {
		commands := newCommands(t, cqrs.NewCommandHandler("h", func(ctx context.Context, c *placeOrder) error {
			c.Answer.OrderID, _ = ctx.Value(traceKey{}).(string)
			return nil
		}))
		c := &placeOrder{Answer: &placed{}}
		if err := commands.Send(context.WithValue(t.Context(), traceKey{}, "trace"), c); err != nil || c.Answer.OrderID != "trace" {
			t.Errorf("got %v, %q", err, c.Answer.OrderID)
		}
	})
	t.Run("the handler's error comes back as it is", func(t *testing.T) {
		commands := newCommands(t, cqrs.NewCommandHandler("h", func(context.Context, *placeOrder) error {
			return fmt.Errorf("place: %w", errSoldOut)
		}))
		if err := commands.Send(t.Context(), &placeOrder{}); !errors.Is(err, errSoldOut) || errors.Is(err, messaging.ErrNacked) {
			t.Errorf("got %v, want the handler's error alone", err)
		}
	})
	t.Run("a panic of the handler comes back as a failure", func(t *testing.T) {
		commands := newCommands(t, cqrs.NewCommandHandler("h", func(context.Context, *placeOrder) error { panic("bug") }))
		if err := commands.Send(t.Context(), &placeOrder{}); !errors.Is(err, messaging.ErrNacked) {
			t.Errorf("got %v, want ErrNacked", err)
		}
	})
	t.Run("commands of different buyers run at the same time", func(t *testing.T) {
		const buyers = 200
		var together sync.WaitGroup
		together.Add(buyers)
		commands := newCommands(t, cqrs.NewCommandHandler("h", func(context.Context, *placeOrder) error {
			together.Done()
			together.Wait()
			return nil
		}))
		var sent sync.WaitGroup
		for range buyers {
			sent.Go(func() {
				if err := commands.Send(t.Context(), &placeOrder{}); err != nil {
					t.Error(err)
				}
			})
		}
		sent.Wait()
	})
}

func TestValueMarshaler(t *testing.T) {
	m := messaging.ValueMarshaler{}
	t.Run("names a command by its method or else its type", func(t *testing.T) {
		for want, command := range map[string]any{"boxoffice.Named": &named{}, "placeOrder": &placeOrder{}} {
			if got := m.Name(command); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		}
	})
	t.Run("takes only pointers", func(t *testing.T) {
		for _, command := range []any{named{}, (*named)(nil), nil} {
			if _, err := m.Marshal(command); err == nil {
				t.Errorf("%T was taken", command)
			}
		}
	})
	t.Run("says what is wired wrongly", func(t *testing.T) {
		msg, err := m.Marshal(&named{1})
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Unmarshal(msg, &named{}); err == nil || !strings.Contains(err.Error(), "OnSend") {
			t.Errorf("without OnSend: got %v", err)
		}
		if err := m.OnSend(cqrs.CommandBusOnSendParams{Command: &named{1}, Message: msg}); err != nil {
			t.Fatal(err)
		}
		if err := m.Unmarshal(msg, &placeOrder{}); err == nil || !strings.Contains(err.Error(), "named") {
			t.Errorf("another type: got %v", err)
		}
	})
}

// BenchmarkCommand compares a command by value with the same through JSON, on the same bus and router.
func BenchmarkCommand(b *testing.B) {
	type wire struct {
		OrderID, CustomerRef, Method string
		ShowID                       int64
		Lines                        []struct{ TicketTypeID, Quantity, UnitPrice int64 }
		RequestedAt                  time.Time
	}
	command := &wire{
		OrderID: "ORDER-20250205-338aa78d", CustomerRef: "3f9a0c2e5d7b41a08899aabbccddeeff", Method: "QRIS", ShowID: 1,
		Lines: []struct{ TicketTypeID, Quantity, UnitPrice int64 }{{1, 2, 150000}}, RequestedAt: time.Now(),
	}
	handler := cqrs.NewCommandHandler("h", func(context.Context, *wire) error { return nil })
	run := func(b *testing.B, send func(context.Context, any) error) {
		b.Helper()
		b.ReportAllocs()
		b.SetParallelism(32)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if err := send(b.Context(), command); err != nil {
					b.Error(err)
				}
			}
		})
	}
	b.Run("value", func(b *testing.B) { run(b, newCommands(b, handler).Send) })
	b.Run("json", func(b *testing.B) {
		bus := messaging.NewBus(messaging.BusConfig{})
		runRouter(b, func(router *message.Router) {
			processor, err := cqrs.NewCommandProcessorWithConfig(router, cqrs.CommandProcessorConfig{
				GenerateSubscribeTopic: func(p cqrs.CommandProcessorGenerateSubscribeTopicParams) (string, error) { return p.CommandName, nil },
				SubscriberConstructor:  func(cqrs.CommandProcessorSubscriberConstructorParams) (message.Subscriber, error) { return bus, nil },
				Marshaler:              cqrs.JSONMarshaler{},
			})
			if err == nil {
				err = processor.AddHandlers(handler)
			}
			if err != nil {
				b.Fatal(err)
			}
		})
		commands, err := cqrs.NewCommandBusWithConfig(bus, cqrs.CommandBusConfig{
			GeneratePublishTopic: func(p cqrs.CommandBusGeneratePublishTopicParams) (string, error) { return p.CommandName, nil },
			Marshaler:            cqrs.JSONMarshaler{},
		})
		if err != nil {
			b.Fatal(err)
		}
		run(b, commands.Send)
	})
}
