package messaging_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/components/cqrs"
	"github.com/ThreeDotsLabs/watermill/message"

	"boxoffice/internal/messaging"
)

// placed is what the handler of placeOrder answers.
type placed struct{ OrderID string }

// placeOrder carries its answer in a struct that both sides point to.
type placeOrder struct {
	Quantity int
	Answer   *placed
}

var errSoldOut = errors.New("sold out")

// A command is sent by value, the handler fills its answer, and what the handler refuses comes back from Send.
func Example() {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	router, err := message.NewRouter(message.RouterConfig{}, watermill.NopLogger{})
	if err != nil {
		panic(err)
	}
	router.AddMiddleware(messaging.ReportErrors)

	bus := messaging.NewBus(messaging.BusConfig{})
	processor, err := messaging.NewCommandProcessor(router, bus)
	if err != nil {
		panic(err)
	}
	err = processor.AddHandlers(cqrs.NewCommandHandler("place-order", func(_ context.Context, c *placeOrder) error {
		if c.Quantity > 2 {
			return errSoldOut
		}
		c.Answer.OrderID = "ORDER-20250205-338aa78d"
		return nil
	}))
	if err != nil {
		panic(err)
	}
	done := make(chan error)
	go func() { done <- router.Run(ctx) }()
	<-router.Running()

	commands, err := messaging.NewCommandBus(bus)
	if err != nil {
		panic(err)
	}
	command := &placeOrder{Quantity: 2, Answer: &placed{}}
	fmt.Println(commands.Send(ctx, command), command.Answer.OrderID)
	fmt.Println(commands.Send(ctx, &placeOrder{Quantity: 3, Answer: &placed{}}))

	stop()
	fmt.Println(<-done)
	// Output:
	// <nil> ORDER-20250205-338aa78d
	// sold out
	// <nil>
}
