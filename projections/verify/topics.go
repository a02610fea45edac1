package verify

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"boxoffice/eventstore"
)

// The topics that carry the log.
const (
	OrdersTopic   = "orders-topic"
	PaymentsTopic = "payment-settlement-topic"
)

// TopicReader reads a topic from its oldest message to its present end and hands over one message after
// the other with its place, those of a partition in their order. It adds the topics' prefix, if there is one.
type TopicReader func(ctx context.Context, topic string, fn func(partition int32, offset int64, m *message.Message) error) error

// keyTopics is the key of what is found in all topics together.
const keyTopics = "topics"

// MaxForeign is how many foreign messages a report lists; more are only counted.
const MaxForeign = 20

// Foreign is a message on an event topic that is no event of the log. Somebody else has put it there, and readers
// pass it over; what has to hold is that every event is in its topic, so it is no finding.
type Foreign struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
	Detail    string `json:"detail"`
}

// rereadEvery is the pause before topics that the relay has not filled yet are read again.
const rereadEvery = time.Second

// topicOf is the topic that an event of a stream belongs to.
func topicOf(stream string) string {
	switch kind, _ := split(stream); kind {
	case showPrefix, orderPrefix:
		return OrdersTopic
	default:
		return PaymentsTopic
	}
}

// compareTopics reads the topics and looks for every event that was folded. What the relay has not
// published yet is waited for.
func compareTopics(ctx context.Context, p *pass, cfg Config) error {
	p.topics = &Topics{}
	for end := time.Now().Add(cfg.Wait); ; {
		p.foreign, p.topics.Foreign = nil, 0 // each reading meets them again
		for _, topic := range []string{OrdersTopic, PaymentsTopic} {
			err := cfg.Topics(ctx, topic, func(partition int32, offset int64, m *message.Message) error {
				return p.message(ctx, Foreign{Topic: topic, Partition: partition, Offset: offset}, m)
			})
			if err != nil {
				return fmt.Errorf("read %s: %w", topic, err)
			}
		}
		first, count := p.digests.missing(MaxFindings)
		if count == 0 || time.Now().After(end) {
			return p.missed(ctx, first, count)
		}
		pause := time.NewTimer(rereadEvery)
		select {
		case <-ctx.Done():
			pause.Stop()
			return ctx.Err()
		case <-pause.C:
		}
	}
}

// missed tells which events are in no topic, and from where on the hashes differ.
func (p *pass) missed(ctx context.Context, positions []int64, count int64) error {
	for _, position := range positions {
		page, err := p.log.page(ctx, position-1, 1)
		if err != nil {
			return err
		}
		if len(page) == 1 {
			p.found.add(KindBehind, topicOf(page[0].Stream), position, "%s, %s, is not in the topic", page[0].ID(), page[0].Type)
		}
	}
	if more := count - int64(len(positions)); more > 0 {
		p.found.more(KindBehind, keyTopics, more)
	}
	if p.rehashed.count > 0 {
		p.found.add(KindHash, keyTopics, p.rehashed.first,
			"from here on %d appends have another hash in the topics: the log was changed after they were published", p.rehashed.count)
	}
	return nil
}

// message judges one message of a topic, which is told as foreign if it is no event. Topics may be read more than
// once, so what is wrong with a message is told once.
func (p *pass) message(ctx context.Context, at Foreign, m *message.Message) error {
	topic := at.Topic
	e, err := eventstore.FromMessage(m)
	if err != nil {
		p.stray(at, "message %q is no event: %v", m.UUID, err)
		return nil
	}
	if e.Position > p.position {
		return p.later(ctx, at, &e)
	}
	n, known := p.digests.ordinal(e.Position)
	if !known {
		p.tell(topic, e.ID(), e.Position, "%s stands at a position that the log has not", e.ID())
		return nil
	}
	if want := topicOf(e.Stream); want != topic {
		p.tell(topic, e.ID(), e.Position, "%s belongs to %s", e.ID(), want)
		return nil
	}
	sameContent, sameHash := p.digests.same(n, &e)
	if e.Data == nil {
		// It is too large for Kafka and stands there without its data.
		if err := p.compareCut(ctx, topic, &e, m.Metadata[eventstore.HeaderCut]); err != nil {
			return err
		}
	} else if !sameContent {
		if err := p.differs(ctx, topic, &e); err != nil {
			return err
		}
	}
	if p.digests.see(n) {
		p.topics.Repeats++
		return nil
	}
	if !sameHash {
		p.rehashed.add(e.Position)
	}
	if p.topics.Messages++; p.topics.Messages%pageEvents == 0 {
		p.comparing(keyTopics, p.topics.Messages, p.events)
	}
	s := p.fold.stream(e.Stream)
	if e.Version != int64(s.delivered)+1 {
		p.tell(topic, e.ID(), e.Position, "version %d of %s comes after %d", e.Version, e.Stream, s.delivered)
	}
	s.delivered = uint32(min(max(e.Version, 0), math.MaxUint32))
	return nil
}

// later judges a message that is not of what was folded: it came after that, or it is no event of the log.
func (p *pass) later(ctx context.Context, at Foreign, e *eventstore.Recorded) error {
	if e.Position > p.ahead {
		head, err := p.log.head(ctx) // events are committed before they are relayed
		if err != nil {
			return err
		}
		p.ahead = head.Position
	}
	if e.Position > p.ahead {
		p.stray(at, "%s stands at position %d, the log ends at %d", e.ID(), e.Position, p.ahead)
	}
	return nil
}

// stray counts a message that is no event, and keeps the first few.
func (p *pass) stray(f Foreign, format string, args ...any) {
	p.topics.Foreign++
	if len(p.foreign) < MaxForeign {
		f.Detail = fmt.Sprintf(format, args...)
		p.foreign = append(p.foreign, f)
	}
}

// rehashed counts the appends whose hash in the topics is not the log's. Where the past was changed and
// the chain rebuilt, all after the change differ, so they are one finding.
type rehashed struct{ first, count int64 }

func (r *rehashed) add(position int64) {
	if r.count++; r.count == 1 || position < r.first {
		r.first = position
	}
}

func (p *pass) tell(topic, id string, position int64, format string, args ...any) {
	if _, before := p.heard[topic+" "+id]; before {
		return
	}
	p.heard[topic+" "+id] = struct{}{}
	p.found.add(KindTopic, topic, position, format, args...)
}

// mayBeCut is from how many bytes on an event may stand in a topic without its data.
const mayBeCut = 512 << 10

// compareCut compares a message without data with the log's event.
func (p *pass) compareCut(ctx context.Context, topic string, m *eventstore.Recorded, cut string) error {
	page, err := p.log.page(ctx, m.Position-1, 1)
	if err != nil {
		return err
	}
	if len(page) == 0 || page[0].ID() != m.ID() || page[0].Type != m.Type || page[0].SchemaVersion != m.SchemaVersion {
		return p.differs(ctx, topic, m)
	}
	if size := len(page[0].Data); cut != strconv.Itoa(size) || size < mayBeCut {
		p.tell(topic, m.ID(), m.Position, "%s stands there without its data of %q bytes, in the log it has %d", m.ID(), cut, size)
	}
	return nil
}

// differs says in what a message and the log's event at its position are not the same.
func (p *pass) differs(ctx context.Context, topic string, m *eventstore.Recorded) error {
	page, err := p.log.page(ctx, m.Position-1, 1)
	if err != nil {
		return err
	}
	switch {
	case len(page) == 0 || page[0].Position != m.Position:
		p.tell(topic, m.ID(), m.Position, "%s stands at a position that the log has not", m.ID())
	case m.ID() != page[0].ID():
		p.tell(topic, m.ID(), m.Position, "%s stands where the log has %s", m.ID(), page[0].ID())
	case m.Type != page[0].Type || m.SchemaVersion != page[0].SchemaVersion:
		p.tell(topic, m.ID(), m.Position, "%s is %s.v%d, in the log %s.v%d", m.ID(), m.Type, m.SchemaVersion, page[0].Type, page[0].SchemaVersion)
	default:
		p.tell(topic, m.ID(), m.Position, "the data of %s is %.200q, in the log %.200q", m.ID(), m.Data, page[0].Data)
	}
	return nil
}
