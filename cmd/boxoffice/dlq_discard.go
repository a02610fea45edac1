package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"boxoffice/commands"
	"boxoffice/domain"
	"boxoffice/projections"
)

func (c *cli) dlqDiscard() *cobra.Command {
	var reason, by string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "discard ID --reason TEXT",
		Short: "Give something up that stands aside, for a reason that the log keeps",
		Long: `Writes a StreamDiscarded event with the reason. A read model goes on without the stream from the event that
stopped it: its row stays as it was, also when the read model is built again. The log itself keeps everything,
and so do other read models. A dead letter is not listed any more. Exit 4 while somebody else retries or discards.`,
		Example: `  boxoffice dlq discard parked/order_status/order-ORDER-20250205-338aa78d --reason "written by hand" --by ana
  boxoffice dlq discard dead/3/17 --reason "test message of a partner"`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			ids, err := c.parseAsides(args)
			if err != nil {
				return err
			}
			if strings.TrimSpace(reason) == "" {
				return c.misused("--reason is missing")
			}
			if !regexp.MustCompile(`^[\pL\pN._@-]{1,64}$`).MatchString(by) {
				return c.misused("--by must be a name of 1 to 64 letters, digits and . _ @ -")
			}
			d, err := c.openDepot(cmd, ids[0].dead)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, d.close()) }()
			if err := d.lock(cmd.Context(), c.hostname); err != nil {
				return err
			}
			command, err := d.discarding(cmd.Context(), ids[0])
			if err != nil {
				return err
			}
			command.Reason = reason
			log := slog.New(slog.NewTextHandler(c.stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
			position, err := d.decide(cmd.Context(), log, command, by)
			if err != nil {
				return err
			}
			if err := projections.IndexDiscarded(cmd.Context(), d.db); err != nil {
				return err
			}
			return c.tellOutcome(asideOutcome{ids[0].String(), discarded, fmt.Sprintf("the log says so at position %d", position)}, asJSON)
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why; it stays in the log")
	cmd.Flags().StringVar(&by, "by", "cli", "who; it stays in the log")
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	c.toolFlags(cmd, "DATABASE_URL", "KAFKA_BROKERS")
	return cmd
}

// discarding is the command that gives something up, yet without a reason. Errors: errUnknown.
func (d *depot) discarding(ctx context.Context, id aside) (domain.DiscardStream, error) {
	if !id.dead {
		p, err := d.parked(ctx, id)
		return domain.DiscardStream{Projection: p.Projection, Stream: p.Stream, Version: p.Version}, err
	}
	l, err := d.letter(ctx, id)
	if err != nil {
		return domain.DiscardStream{}, err
	}
	topic := l.Topic
	if topic == "" {
		topic = "unknown"
	}
	return domain.DiscardStream{Letter: &domain.DeadLetter{Topic: topic, Partition: l.Partition, Offset: l.Offset, Digest: l.Digest()}}, nil
}

// decide runs a writer of its own for one command; it takes turns with those of the service.
func (d *depot) decide(ctx context.Context, log *slog.Logger, command domain.Command, by string) (position int64, err error) {
	writer := commands.NewWriter(d.store, log, commands.Observer{}, nil)
	running, stop := context.WithCancel(ctx)
	var group errgroup.Group
	group.Go(func() error { return writer.Run(running) })
	answer, err := writer.Do(ctx, command, commands.Origin{Actor: "operator:" + by})
	stop()
	if err := errors.Join(err, group.Wait()); err != nil {
		return 0, fmt.Errorf("write that it is discarded: %w", err)
	}
	return answer.Position, nil
}
