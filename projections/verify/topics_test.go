package verify

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"boxoffice/eventstore"
)

// memoryTopics are topics as they may be filled, soundly or not.
type memoryTopics struct {
	messages map[string][]*message.Message
	reads    int
	grow     func(m *memoryTopics) // called before every reading
}

func (m *memoryTopics) read(_ context.Context, topic string, fn func(int32, int64, *message.Message) error) error {
	if m.reads++; m.grow != nil {
		m.grow(m)
	}
	for offset, one := range m.messages[topic] {
		if err := fn(2, int64(offset), one); err != nil {
			return err
		}
	}
	return nil
}

func relayed(events []eventstore.Recorded) *memoryTopics {
	m := &memoryTopics{messages: map[string][]*message.Message{}}
	for _, e := range events {
		topic := "payment-settlement-topic"
		if strings.HasPrefix(e.Stream, "show-") || strings.HasPrefix(e.Stream, "order-") {
			topic = "orders-topic"
		}
		m.messages[topic] = append(m.messages[topic], eventstore.ToMessage(e))
	}
	return m
}

func TestTopicsAreComparedWithTheLog(t *testing.T) {
	t.Parallel()
	const orders, payments = "orders-topic", "payment-settlement-topic"
	for _, c := range []struct {
		name   string
		tamper func(m *memoryTopics, l *memoryLog)
		want   []string // kind key
		told   string   // in a detail
	}{
		{"all is there", func(*memoryTopics, *memoryLog) {}, nil, ""},
		{"the relay crashed and repeated", func(m *memoryTopics, _ *memoryLog) {
			m.messages[orders] = append(m.messages[orders], m.messages[orders][3:]...)
		}, nil, ""},
		{"an event is missing", func(m *memoryTopics, _ *memoryLog) {
			m.messages[payments] = m.messages[payments][:len(m.messages[payments])-1]
		}, []string{"behind " + payments}, "RefundRequested, is not in the topic"},
		{"an event was skipped and came later", func(m *memoryTopics, _ *memoryLog) {
			o := m.messages[orders]
			o[0], o[1] = o[1], o[0]
		}, []string{"topic " + orders, "topic " + orders, "topic " + orders}, "version 2 of show-1 comes after 0"},
		{"the data is another", func(m *memoryTopics, _ *memoryLog) {
			m.messages[orders][0].Payload = []byte(strings.Replace(string(m.messages[orders][0].Payload), "Gala", "Ball", 1))
		}, []string{"topic " + orders}, "data"},
		{"the log was rebuilt with sound hashes", func(_ *memoryTopics, l *memoryLog) {
			l.events[0].Data = []byte(strings.Replace(string(l.events[0].Data), "Gala", "Ball", 1))
			rebuild(l)
		}, []string{"topic " + orders, "hash topics"}, "from here on 14 appends"},
		{"an event stands in the wrong topic", func(m *memoryTopics, _ *memoryLog) {
			m.messages[payments] = append(m.messages[payments], m.messages[orders][0])
		}, []string{"topic " + payments}, "belongs to orders-topic"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			log := write(t, story())
			topics := relayed(log.events)
			c.tamper(topics, log)
			r, err := run(t.Context(), log, nil, Config{Topics: topics.read, Wait: time.Nanosecond})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			told := c.told == ""
			for _, f := range r.Findings {
				got = append(got, string(f.Kind)+" "+f.Key)
				told = told || strings.Contains(f.Detail, c.told)
			}
			if !slices.Equal(got, c.want) || !told {
				t.Errorf("found %+v, want %q with %q", r.Findings, c.want, c.told)
			}
		})
	}
}

func TestWhatIsNoEventIsNamedAndNoFinding(t *testing.T) {
	t.Parallel()
	log := write(t, story())
	topics := relayed(log.events)
	beyond := log.events[0]
	beyond.Position, beyond.Version = 1000, 99
	orders := topics.messages[OrdersTopic]
	end := int64(len(orders))
	topics.messages[OrdersTopic] = append(orders, message.NewMessage("", []byte("{}")), eventstore.ToMessage(beyond))
	newest := topics.messages[PaymentsTopic]
	topics.messages[PaymentsTopic] = newest[:len(newest)-1]
	topics.grow = func(m *memoryTopics) {
		if m.reads > 2 { // it is read twice, and nothing is told twice
			m.messages[PaymentsTopic] = newest
		}
	}
	r, err := run(t.Context(), log, nil, Config{Topics: topics.read})
	if err != nil || !r.Ok() || r.Topics.Foreign != 2 || len(r.Foreign) != 2 {
		t.Fatalf("the report is %+v, %v", r, err)
	}
	for i, words := range []string{"is no event", "stands at position 1000, the log ends at "} {
		if f := r.Foreign[i]; f.Topic != OrdersTopic || f.Partition != 2 || f.Offset != end+int64(i) || !strings.Contains(f.Detail, words) {
			t.Errorf("%+v, want %q", f, words)
		}
	}
}

func TestWhatCameAfterTheLogWasReadIsNotForeign(t *testing.T) {
	t.Parallel()
	log := write(t, story())
	topics := relayed(log.events)
	newer := log.events[0]
	newer.Position, newer.Version = log.end.Position+1, 99
	topics.messages[OrdersTopic] = append(topics.messages[OrdersTopic], eventstore.ToMessage(newer))
	topics.grow = func(*memoryTopics) { log.end.Position = newer.Position }
	r, err := run(t.Context(), log, nil, Config{Topics: topics.read})
	if err != nil || !r.Ok() || r.Topics.Foreign != 0 || len(r.Foreign) != 0 {
		t.Errorf("the report is %+v, %v", r, err)
	}
}

// rebuild makes the hash chain sound again, as a superuser could who changed the past.
func rebuild(l *memoryLog) {
	var prev []byte
	var open []eventstore.Event
	for i := range l.events {
		e := &l.events[i]
		open = append(open, e.Event)
		if e.Hash != nil {
			prev = eventstore.Chain(prev, open, e.RecordedAt, e.Position-int64(len(open))+1)
			e.Hash, open = prev, nil
		}
	}
	l.end.Hash = prev
}

func TestARebuiltChainLooksSoundWithoutTheTopics(t *testing.T) {
	t.Parallel()
	log := write(t, story())
	log.events[0].Data = []byte(strings.Replace(string(log.events[0].Data), "Gala", "Ball", 1))
	rebuild(log)
	if r := judged(t, log); !r.Ok() {
		t.Errorf("found %+v", r.Findings)
	}
}

func TestTheRelayIsWaitedFor(t *testing.T) {
	t.Parallel()
	log := write(t, story())
	full, topics := relayed(log.events), relayed(nil)
	topics.grow = func(m *memoryTopics) {
		if m.reads > 2 {
			m.messages = full.messages
		}
	}
	r, err := run(t.Context(), log, nil, Config{Topics: topics.read})
	if err != nil || !r.Ok() || r.Topics.Messages != 43 || r.Topics.Repeats != 0 {
		t.Errorf("the report is %+v, %v", r, err)
	}
}

func TestPositionsWithGapsAreFoundInTopics(t *testing.T) {
	t.Parallel()
	d := newDigests()
	for _, position := range []int64{1, 2, 5, 6, 9} {
		d.add(&eventstore.Recorded{Event: eventstore.Event{Stream: "show-1", Version: position}, Position: position})
	}
	var found []int64
	for position := range int64(12) {
		if n, ok := d.ordinal(position); ok {
			found = append(found, d.position(n))
			d.see(n)
		}
	}
	if _, count := d.missing(10); !slices.Equal(found, []int64{1, 2, 5, 6, 9}) || count != 0 {
		t.Errorf("found %v, missing %d", found, count)
	}
}
