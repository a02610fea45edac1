package serve

import (
	"context"
	"errors"
	"fmt"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/message/router/middleware"

	"boxoffice/internal/messaging"
)

// consumer takes the messages of a topic, many of them in flight.
type consumer struct {
	window     messaging.WindowConfig // without Log and DeadLetters, which all have in common
	decorators []message.SubscriberDecorator
	middleware []message.HandlerMiddleware // from the outermost to the innermost
	handle     message.NoPublishHandlerFunc
}

// consume hands a topic's messages to a consumer until ctx ends. The consumer is made with the publisher that its
// dead letters go to, as soon as there is one.
func (s *service) consume(ctx context.Context, name, topic string, with func(message.Publisher) consumer) (err error) {
	router, err := message.NewRouter(message.RouterConfig{CloseTimeout: closeTimeout}, s.watermill())
	if err != nil {
		return fmt.Errorf("%s router: %w", name, err)
	}
	deadLetters, err := s.single(ctx)
	if err != nil {
		return nil // ctx ended, which is no fault
	}
	defer func() { err = errors.Join(err, deadLetters.Close()) }()
	c := with(deadLetters)
	c.window.DeadLetters, c.window.Log = deadLetters, s.Log
	router.AddSubscriberDecorators(c.decorators...)
	router.AddMiddleware(messaging.ReportErrors)
	router.AddMiddleware(c.middleware...)
	router.AddMiddleware(middleware.Recoverer)
	router.AddConsumerHandler(name, topic, messaging.NewWindowedSubscriber(s.kafka, c.window), c.handle)
	return router.Run(ctx)
}
