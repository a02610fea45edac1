package messaging

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"
)

// batchSession is one membership: the partitions that the group gave us until it gives them anew.
type batchSession struct {
	consumer *BatchConsumer
	client   sarama.Client
	progress atomic.Bool // a batch was handled
}

// Setup moves every claim to where its handler wants to begin. Sarama reads the start offset after Setup.
func (s *batchSession) Setup(session sarama.ConsumerGroupSession) error {
	start := s.consumer.batch.Start
	if start == nil {
		return nil
	}
	for topic, partitions := range session.Claims() {
		for _, partition := range partitions {
			if err := s.position(session, topic, partition); err != nil {
				return fmt.Errorf("start of %s/%d: %w", topic, partition, err)
			}
		}
	}
	return nil
}

func (s *batchSession) position(session sarama.ConsumerGroupSession, topic string, partition int32) error {
	oldest, newest, err := bounds(s.client, topic, partition)
	if err != nil {
		return err
	}
	offset, err := s.consumer.batch.Start(session.Context(), s.consumer.cfg.bare(topic), partition, oldest, newest)
	if err != nil {
		return err
	}
	if offset < oldest || offset > newest {
		return fmt.Errorf("offset %d is outside of %d to %d", offset, oldest, newest)
	}
	// One moves only forward, the other only back (and a group without an offset counts as before 0).
	session.MarkOffset(topic, partition, offset, "")
	session.ResetOffset(topic, partition, offset, "")
	return nil
}

func bounds(client sarama.Client, topic string, partition int32) (oldest, newest int64, err error) {
	if oldest, err = client.GetOffset(topic, partition, sarama.OffsetOldest); err != nil {
		return 0, 0, fmt.Errorf("oldest offset: %w", err)
	}
	if newest, err = client.GetOffset(topic, partition, sarama.OffsetNewest); err != nil {
		return 0, 0, fmt.Errorf("newest offset: %w", err)
	}
	return oldest, newest, nil
}

// Cleanup has nothing to do: what was handled is marked, the rest is repeated.
func (*batchSession) Cleanup(sarama.ConsumerGroupSession) error { return nil }

// ConsumeClaim handles one partition. Returning ends the whole session, so it does only when the session
// ends anyway or the claim is taken.
func (s *batchSession) ConsumeClaim(session sarama.ConsumerGroupSession, gc sarama.ConsumerGroupClaim) error {
	claim := Claim{Topic: s.consumer.cfg.bare(gc.Topic()), Partition: gc.Partition()}
	var rest *sarama.ConsumerMessage // did not fit into the batch before
	var began time.Time              // of the batch before
	for {
		batch, left, ok := s.gather(session.Context(), gc.Messages(), rest, began)
		if !ok {
			return nil
		}
		rest, began = left, time.Now()
		if !s.handle(session.Context(), claim, batch) {
			return nil
		}
		session.MarkOffset(gc.Topic(), gc.Partition(), batch[len(batch)-1].Offset+1, "")
	}
}

// gather waits for one message and takes what else is buffered; ok is false when the claim has ended. Where
// messages come all the time it leaves a pause between batches, in which the next one grows: a transaction costs
// the same for ten messages as for a hundred. A message that comes alone is handed over at once.
func (s *batchSession) gather(ctx context.Context, in <-chan *sarama.ConsumerMessage, first *sarama.ConsumerMessage, began time.Time) (batch []Message, rest *sarama.ConsumerMessage, ok bool) {
	if first == nil {
		select {
		case first, ok = <-in:
			if !ok {
				return nil, nil, false
			}
		case <-ctx.Done():
			return nil, nil, false
		}
	}
	if pause := batchPause - time.Since(began); pause > 0 && len(in) < s.consumer.batch.Max {
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, nil, false
		}
	}
	batch, size := append(batch, s.received(ctx, first)), len(first.Value)
	for len(batch) < s.consumer.batch.Max {
		select {
		case m, open := <-in:
			if !open {
				return nil, nil, false
			}
			if size += len(m.Value); size > maxBatchBytes {
				return batch, m, true
			}
			batch = append(batch, s.received(ctx, m))
		default:
			return batch, nil, true
		}
	}
	return batch, nil, true
}

func (s *batchSession) received(ctx context.Context, in *sarama.ConsumerMessage) Message {
	if wants := s.consumer.batch.Wants; wants != nil && !wants(in.Key) {
		return Message{Offset: in.Offset}
	}
	return received(ctx, in)
}

func received(ctx context.Context, in *sarama.ConsumerMessage) Message {
	msg, _ := Marshaler{}.Unmarshal(in) // never fails
	msg.SetContext(ctx)
	return Message{Message: msg, Offset: in.Offset, Key: string(in.Key), Err: Undecodable(msg)}
}

// handle repeats the batch until it is handled; false when the claim has ended.
func (s *batchSession) handle(ctx context.Context, claim Claim, batch []Message) bool {
	retry := backoff{first: firstRetry, limit: lastRetry}
	for {
		err := s.consumer.batch.Handle(ctx, claim, batch)
		switch {
		case err == nil:
			s.progress.Store(true)
			return true
		case ctx.Err() != nil:
			return false
		case errors.Is(err, ErrDropClaim):
			s.consumer.batch.Log.WarnContext(ctx, "claim dropped", "topic", claim.Topic, "partition", claim.Partition, "offset", batch[0].Offset)
			return false
		}
		s.consumer.batch.Log.WarnContext(ctx, "batch failed, trying again", "topic", claim.Topic, "partition", claim.Partition,
			"offset", batch[0].Offset, "messages", len(batch), "error", err)
		if !retry.wait(ctx) {
			return false
		}
	}
}
