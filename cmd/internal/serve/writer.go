package serve

import (
	"context"
	"fmt"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/message/router/middleware"

	"boxoffice/commands"
	"boxoffice/domain"
	"boxoffice/internal/messaging"
)

// startWriter starts the writer behind the command bus.
func (s *service) startWriter(back start) error {
	snapshots := commands.NewSnapshotter(s.store, s.Log)
	s.writer = commands.NewWriter(s.store, s.Log, s.metrics.writer(), snapshots.Dirty())
	bus := messaging.NewBus(messaging.BusConfig{Busy: commands.ErrOverloaded, Gone: commands.ErrUnavailable})
	router, err := message.NewRouter(message.RouterConfig{CloseTimeout: closeTimeout}, s.watermill())
	if err != nil {
		return fmt.Errorf("command router: %w", err)
	}
	router.AddMiddleware(messaging.ReportErrors, middleware.Recoverer)
	processor, err := messaging.NewCommandProcessor(router, bus)
	if err != nil {
		return fmt.Errorf("command processor: %w", err)
	}
	if err := processor.AddHandlers(commands.Handlers(s.writer)...); err != nil {
		return fmt.Errorf("command handlers: %w", err)
	}
	commandBus, err := messaging.NewCommandBus(bus)
	if err != nil {
		return fmt.Errorf("command bus: %w", err)
	}
	s.send = s.told(s.tracedSender(commands.NewSender(commandBus)))
	s.deciding = router.Running()
	back("writer", s.writer.Run)
	back("snapshots", snapshots.Run)
	back("command bus", func(ctx context.Context) error {
		if err := router.Run(ctx); err != nil {
			return err
		}
		return bus.Close()
	})
	return nil
}

// whenDeciding lets a part that sends commands wait until there is somebody to decide them.
func (s *service) whenDeciding(run func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		select {
		case <-s.deciding:
			return run(ctx)
		case <-ctx.Done():
			return nil
		}
	}
}

// watermill is the log for Watermill's routers.
func (s *service) watermill() watermill.LoggerAdapter { return newQuiet(s.Log) }

// told lets the program hear of every decided command.
func (s *service) told(send commands.Sender) commands.Sender {
	if s.Told == nil {
		return send
	}
	return func(ctx context.Context, c domain.Command, o commands.Origin) (commands.Answer, error) {
		answer, err := send(ctx, c, o)
		s.Told(c, o, answer, err)
		return answer, err
	}
}
