package messaging

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/IBM/sarama"
	"github.com/ThreeDotsLabs/watermill/message"
)

// Limits of a BatchConsumer.
const (
	defaultBatch  = 1000
	maxBatchBytes = 4 << 20
	batchPause    = 40 * time.Millisecond // from the beginning of one batch to that of the next, unless it is full
	firstRetry    = 100 * time.Millisecond
	lastRetry     = 5 * time.Second
	rejoinFirst   = 20 * time.Millisecond
	rejoinLast    = 2 * time.Second // however long the brokers were away, it goes on so soon after their return
	settled       = 5 * time.Second // a session that lasted so long was not in vain
)

// ErrDropClaim is returned by a BatchHandler that found that the partition is somebody else's by now (its
// checkpoint has moved). The claim ends without a mark, the consumer joins the group anew, and BatchConfig's
// Start is asked again.
var ErrDropClaim = errors.New("the partition has another reader")

// Claim is a partition that this consumer reads.
type Claim struct {
	Topic     string
	Partition int32
}

// Message is a message with its place. Err says why it could not be decoded; Payload then is its raw value.
type Message struct {
	*message.Message
	Offset int64
	Key    string
	Err    error
}

// BatchHandler handles one batch, in order of offsets, in one transaction of its own. Any error but
// ErrDropClaim repeats the batch, later and for as long as the claim lives; ctx ends with the claim.
type BatchHandler func(ctx context.Context, claim Claim, batch []Message) error

// BatchConfig sets a BatchConsumer up.
type BatchConfig struct {
	Group  string   // of this handler alone
	Topics []string // without prefix
	// Wants says by its key whether a message has to be decoded; others are handed over with their place only
	// (Message is nil). Nil: all of them.
	Wants func(key []byte) bool
	Max   int // messages per batch; 0 means 1000. A batch has at most 4 MiB unless one message is larger
	// Start returns the offset at which to read a partition that was just assigned, oldest ≤ offset ≤ newest
	// (the next to be written), wherever the group has been. An error is retried. Nil: the group's own offset.
	Start  func(ctx context.Context, topic string, partition int32, oldest, newest int64) (int64, error)
	Handle BatchHandler
	Log    *slog.Logger
}

// BatchConsumer hands over per partition whatever has arrived since the last batch.
type BatchConsumer struct {
	cfg   Config
	batch BatchConfig
}

// NewBatchConsumer returns a consumer; Run connects it.
func NewBatchConsumer(cfg Config, batch BatchConfig) *BatchConsumer {
	if batch.Max <= 0 {
		batch.Max = defaultBatch
	}
	if batch.Log == nil {
		batch.Log = slog.New(slog.DiscardHandler)
	}
	batch.Log = batch.Log.With("group", batch.Group)
	return &BatchConsumer{cfg: cfg, batch: batch}
}

// Run consumes until ctx ends and then returns nil. It returns an error at once for a configuration that
// can't work; whatever else fails is logged and tried again.
func (c *BatchConsumer) Run(ctx context.Context) error {
	if _, err := c.cfg.member(c.cfg.Group(c.batch.Group), batchBuffer); err != nil {
		return err
	}
	wait := &backoff{first: rejoinFirst, limit: rejoinLast}
	for ctx.Err() == nil {
		if err := c.connected(ctx, wait); err != nil && ctx.Err() == nil {
			c.batch.Log.WarnContext(ctx, "consumer disconnected, trying again", "error", err)
			wait.wait(ctx)
		}
	}
	return nil
}

// connected runs one client, session after session, until one ends with an error.
func (c *BatchConsumer) connected(ctx context.Context, wait *backoff) (err error) {
	s, err := c.cfg.member(c.cfg.Group(c.batch.Group), batchBuffer)
	if err != nil {
		return err
	}
	client, err := sarama.NewClient(c.cfg.Brokers, s)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	group, err := sarama.NewConsumerGroupFromClient(c.cfg.Group(c.batch.Group), client)
	if err != nil {
		return fmt.Errorf("join: %w", err)
	}
	stop := drainErrors(ctx, group, c.batch.Log)
	defer func() {
		err = errors.Join(err, group.Close())
		stop()
	}()
	for ctx.Err() == nil {
		session, began := &batchSession{consumer: c, client: client}, time.Now()
		if err := group.Consume(ctx, c.cfg.topics(c.batch.Topics), session); err != nil {
			return fmt.Errorf("consume: %w", err)
		}
		if session.progress.Load() || time.Since(began) > settled {
			wait.reset()
		}
		// A session that ends at once would be followed by the next at once: a taken claim, an offset that is gone.
		wait.wait(ctx)
	}
	return nil
}

// drainErrors logs what the group reports by the way, until it is closed; the returned function waits for that.
func drainErrors(ctx context.Context, group sarama.ConsumerGroup, log *slog.Logger) (wait func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for err := range group.Errors() {
			log.WarnContext(ctx, "consumer group", "error", err)
		}
	}()
	return func() { <-done }
}
