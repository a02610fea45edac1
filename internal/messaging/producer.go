package messaging

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/IBM/sarama"
)

const (
	recordVersion = 2  // of Kafka's message format
	identifyTries = 20 // a quarter of a second apart
)

// producer writes to partitions through sarama's brokers: per partition one batch at a time, the next only
// when it is confirmed, retried with the sequence it was first sent with.
type producer struct {
	client       sarama.Client
	cfg          *sarama.Config
	id           int64
	epoch        int16
	next         map[lane]int32 // sequence of a partition's next message
	partitioners map[string]sarama.Partitioner
}

// lane is one partition.
type lane struct {
	topic     string
	partition int32
}

// batch is what one request carries to one partition.
type batch struct {
	lane
	messages []*sarama.ProducerMessage
	records  *sarama.RecordBatch
	err      error // why it was not confirmed yet
}

func newProducer(brokers []string, cfg *sarama.Config) (*producer, error) {
	client, err := sarama.NewClient(brokers, cfg)
	if err != nil {
		return nil, err
	}
	p := &producer{client: client, cfg: cfg, next: map[lane]int32{}, partitioners: map[string]sarama.Partitioner{}}
	if err := p.identify(); err != nil {
		return nil, errors.Join(err, client.Close())
	}
	return p, nil
}

// identify asks for the producer id that lets brokers recognise a repeated batch. Brokers that have just
// started ask to be asked again.
func (p *producer) identify() error {
	for try := 1; ; try++ {
		err := p.askID()
		if err == nil {
			return nil
		}
		starting := errors.Is(err, sarama.ErrOffsetsLoadInProgress) || errors.Is(err, sarama.ErrConsumerCoordinatorNotAvailable)
		if !starting || try == identifyTries {
			return fmt.Errorf("producer id: %w", err)
		}
		<-time.After(p.cfg.Metadata.Retry.Backoff)
	}
}

func (p *producer) askID() error {
	broker := p.client.LeastLoadedBroker()
	if broker == nil {
		return sarama.ErrOutOfBrokers
	}
	const none = -1 // no id to resume
	response, err := broker.InitProducerID(&sarama.InitProducerIDRequest{
		Version: 4, ProducerID: none, ProducerEpoch: none, TransactionTimeout: p.cfg.Producer.Transaction.Timeout,
	})
	if err != nil {
		return err
	}
	if response.Err != sarama.ErrNoError {
		return response.Err
	}
	p.id, p.epoch = response.ProducerID, response.ProducerEpoch
	return nil
}

func (p *producer) close() error { return p.client.Close() }

// send writes the messages and returns those that are not confirmed, in their order, with the reason.
func (p *producer) send(ctx context.Context, topic string, messages []*sarama.ProducerMessage) ([]*sarama.ProducerMessage, error) {
	lanes, err := p.divide(topic, messages)
	if err != nil {
		return messages, err
	}
	for len(lanes) > 0 {
		round := make([]*batch, 0, len(lanes))
		for _, waiting := range lanes {
			round = append(round, waiting[0])
		}
		err := p.sendRound(ctx, round)
		for at, waiting := range lanes {
			switch {
			case waiting[0].err != nil:
			case len(waiting) == 1:
				delete(lanes, at)
			default:
				lanes[at] = waiting[1:]
			}
		}
		if err != nil {
			return unconfirmed(messages, lanes), err
		}
	}
	return nil, nil
}

func unconfirmed(messages []*sarama.ProducerMessage, lanes map[lane][]*batch) []*sarama.ProducerMessage {
	open := map[*sarama.ProducerMessage]bool{}
	for _, waiting := range lanes {
		for _, b := range waiting {
			for _, m := range b.messages {
				open[m] = true
			}
		}
	}
	return slices.DeleteFunc(slices.Clone(messages), func(m *sarama.ProducerMessage) bool { return !open[m] })
}

// divide gives every message its partition and cuts each partition's messages into batches.
func (p *producer) divide(topic string, messages []*sarama.ProducerMessage) (map[lane][]*batch, error) {
	partitions, err := p.client.Partitions(topic)
	if err != nil {
		return nil, fmt.Errorf("partitions of %s: %w", topic, err)
	}
	partitioner := p.partitioners[topic]
	if partitioner == nil {
		partitioner = p.cfg.Producer.Partitioner(topic)
		p.partitioners[topic] = partitioner
	}
	now := time.Now().Truncate(time.Millisecond)
	lanes, sizes := map[lane][]*batch{}, map[lane]int{}
	for _, m := range messages {
		choice, err := partitioner.Partition(m, int32(len(partitions)))
		if err != nil {
			return nil, fmt.Errorf("choose a partition of %s: %w", topic, err)
		}
		at := lane{topic, partitions[choice]}
		size := m.ByteSize(recordVersion)
		if len(lanes[at]) == 0 || sizes[at]+size > maxMessageBytes {
			lanes[at], sizes[at] = append(lanes[at], p.newBatch(at, now)), 0
		}
		last := lanes[at][len(lanes[at])-1]
		if err := last.add(m); err != nil {
			return nil, err
		}
		sizes[at] += size
	}
	return lanes, nil
}

func (p *producer) newBatch(at lane, now time.Time) *batch {
	return &batch{lane: at, records: &sarama.RecordBatch{
		Version: recordVersion, Codec: p.cfg.Producer.Compression, CompressionLevel: p.cfg.Producer.CompressionLevel,
		ProducerID: p.id, ProducerEpoch: p.epoch, FirstTimestamp: now, MaxTimestamp: now,
	}}
}

func (b *batch) add(m *sarama.ProducerMessage) error {
	record := &sarama.Record{OffsetDelta: int64(len(b.messages)), Headers: make([]*sarama.RecordHeader, len(m.Headers))}
	for i := range m.Headers {
		record.Headers[i] = &m.Headers[i]
	}
	var err error
	if m.Key != nil {
		if record.Key, err = m.Key.Encode(); err != nil {
			return fmt.Errorf("encode a key: %w", err)
		}
	}
	if m.Value != nil {
		if record.Value, err = m.Value.Encode(); err != nil {
			return fmt.Errorf("encode a message: %w", err)
		}
	}
	b.messages = append(b.messages, m)
	b.records.Records = append(b.records.Records, record)
	b.records.LastOffsetDelta = int32(len(b.messages)) - 1
	return nil
}

// sendRound writes one batch per partition, repeating those that fail in a way that may pass. It returns the
// first reason for which a batch is not confirmed; each batch has its own.
func (p *producer) sendRound(ctx context.Context, round []*batch) error {
	for _, b := range round {
		b.records.FirstSequence = p.next[b.lane]
		p.next[b.lane] = advance(p.next[b.lane], len(b.messages))
	}
	for try := 0; ; try++ {
		if ctx.Err() != nil {
			err := context.Cause(ctx)
			for _, b := range round {
				b.err = errors.Join(b.err, err)
			}
			return err
		}
		p.attempt(round)
		round = slices.DeleteFunc(round, func(b *batch) bool { return b.err == nil })
		if len(round) == 0 {
			return nil
		}
		final := slices.IndexFunc(round, func(b *batch) bool { return !mayPass(b.err) })
		if final >= 0 || try >= p.cfg.Producer.Retry.Max {
			return round[max(final, 0)].err
		}
		select {
		case <-time.After(p.cfg.Producer.Retry.Backoff):
			_ = p.client.RefreshMetadata(round[0].topic) // a new leader, perhaps; the next attempt shows
		case <-ctx.Done(): // seen at the top
		}
	}
}

// advance is a sequence n messages later; it wraps as Kafka's does.
func advance(sequence int32, n int) int32 {
	return int32((int64(sequence) + int64(n)) % (math.MaxInt32 + 1)) // the modulus bounds it
}

// attempt sends every batch once, one request per broker, all brokers at once.
func (p *producer) attempt(round []*batch) {
	leaders := map[*sarama.Broker][]*batch{}
	var away error // no broker answers
	for _, b := range round {
		if b.err = away; away != nil {
			continue // to find out again for each partition would take almost a second each
		}
		leader, err := p.client.Leader(b.topic, b.partition)
		if b.err = err; err == nil {
			leaders[leader] = append(leaders[leader], b)
		} else if errors.Is(err, sarama.ErrOutOfBrokers) {
			away = err
		}
	}
	var running sync.WaitGroup
	for broker, batches := range leaders {
		running.Go(func() { p.request(broker, batches) })
	}
	running.Wait()
}

func (p *producer) request(broker *sarama.Broker, batches []*batch) {
	request := &sarama.ProduceRequest{
		Version: 10, RequiredAcks: p.cfg.Producer.RequiredAcks, Timeout: int32(p.cfg.Producer.Timeout / time.Millisecond),
	}
	for _, b := range batches {
		request.AddBatch(b.topic, b.partition, b.records)
	}
	response, err := broker.Produce(request)
	for _, b := range batches {
		b.err = err
		if err != nil {
			continue
		}
		block := response.GetBlock(b.topic, b.partition)
		switch {
		case block == nil:
			b.err = sarama.ErrIncompleteResponse
		case block.Err == sarama.ErrNoError, block.Err == sarama.ErrDuplicateSequenceNumber: // an earlier attempt was written after all
		default:
			b.err = block.Err
		}
	}
}

// mayPass reports whether the same batch may succeed later: whatever is not the broker's final word.
func mayPass(err error) bool {
	answer, ok := errors.AsType[sarama.KError](err)
	if !ok {
		return !errors.Is(err, sarama.ErrClosedClient)
	}
	return slices.Contains([]sarama.KError{
		sarama.ErrInvalidMessage, // damaged on the way
		sarama.ErrUnknownTopicOrPartition, sarama.ErrLeaderNotAvailable, sarama.ErrNotLeaderForPartition,
		sarama.ErrRequestTimedOut, sarama.ErrNotEnoughReplicas, sarama.ErrNotEnoughReplicasAfterAppend, sarama.ErrKafkaStorageError,
	}, answer)
}
