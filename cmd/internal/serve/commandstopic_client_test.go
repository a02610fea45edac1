package serve_test

import (
	"encoding/json"
	"maps"
	"testing"
	"time"

	"github.com/IBM/sarama"
)

// kafkaClient is a foreign program that knows the contract and nothing of ours: it writes and reads plain records.
type kafkaClient struct {
	o        *office
	client   sarama.Client
	producer sarama.SyncProducer
}

// record is a message of commands-topic, for show 1, as the contract has it.
type record struct {
	kind      string // ce_type
	id        string // ce_id
	body      string
	partition int32
	headers   map[string]string // instead of those that follow from the above; empty: left out
}

// notice is a message of notification-topic.
type notice struct {
	OrderID   string `json:"orderId"`
	PaymentID string `json:"paymentId"`
	Status    string
	Previous  string
	Reason    string
	Code      string
	Detail    string
	ShowID    int64 `json:"showId"`
	At        time.Time
	Source    string
	CommandID string `json:"commandId"`

	key     string
	headers map[string]string
	body    string
}

const kafkaSource = "https://shop.example/box"

func (o *office) kafkaClient() *kafkaClient {
	o.t.Helper()
	c := sarama.NewConfig()
	c.Version = sarama.V3_0_0_0
	c.Metadata.AllowAutoTopicCreation = false
	c.Producer.Partitioner = sarama.NewManualPartitioner
	c.Producer.Return.Successes = true
	c.Producer.RequiredAcks = sarama.WaitForAll
	c.Producer.MaxMessageBytes = 1 << 20           // as much as a broker takes
	c.Consumer.MaxWaitTime = 20 * time.Millisecond // for the end of a topic, before a reader can leave it
	client, err := sarama.NewClient(o.kafka.Brokers, c)
	if err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(func() { _ = client.Close() })
	producer, err := sarama.NewSyncProducerFromClient(client)
	if err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(func() { _ = producer.Close() })
	k := &kafkaClient{o: o, client: client, producer: producer}
	eventually(o.t, "the topics are there", func() string {
		if err := client.RefreshMetadata(k.topic("commands-topic"), k.topic("notification-topic"), k.topic("dead-letter-topic")); err != nil {
			return err.Error()
		}
		return ""
	})
	return k
}

func (k *kafkaClient) topic(name string) string { return k.o.kafka.TopicPrefix + name }

// send writes records in their order, and waits until they are there.
func (k *kafkaClient) send(records ...record) {
	k.o.t.Helper()
	messages := make([]*sarama.ProducerMessage, len(records))
	for i, r := range records {
		messages[i] = r.message(k.topic("commands-topic"))
	}
	if err := k.producer.SendMessages(messages); err != nil {
		k.o.t.Fatal(err)
	}
}

func (r record) message(topic string) *sarama.ProducerMessage {
	headers := map[string]string{
		"ce_specversion": "1.0", "ce_type": r.kind, "ce_id": r.id, "ce_source": kafkaSource,
		"ce_time": time.Now().UTC().Format(time.RFC3339), "content-type": "application/json",
	}
	maps.Copy(headers, r.headers)
	m := &sarama.ProducerMessage{
		Topic: topic, Partition: r.partition, Value: sarama.StringEncoder(r.body),
		Key: sarama.StringEncoder("1"),
	}
	for name, value := range headers {
		if value != "" {
			m.Headers = append(m.Headers, sarama.RecordHeader{Key: []byte(name), Value: []byte(value)})
		}
	}
	return m
}

// read reads everything that is in a topic now.
func (k *kafkaClient) read(name string) []*sarama.ConsumerMessage {
	t, topic := k.o.t, k.topic(name)
	t.Helper()
	consumer, err := sarama.NewConsumerFromClient(k.client)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = consumer.Close() }()
	partitions, err := k.client.Partitions(topic)
	if err != nil {
		t.Fatal(err)
	}
	var all []*sarama.ConsumerMessage
	for _, partition := range partitions {
		end, err := k.client.GetOffset(topic, partition, sarama.OffsetNewest)
		if err != nil {
			t.Fatal(err)
		}
		if end == 0 {
			continue
		}
		all = append(all, readTo(t, consumer, topic, partition, end)...)
	}
	return all
}

func readTo(t *testing.T, consumer sarama.Consumer, topic string, partition int32, end int64) []*sarama.ConsumerMessage {
	t.Helper()
	reader, err := consumer.ConsumePartition(topic, partition, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = reader.Close() }()
	var all []*sarama.ConsumerMessage
	limit := time.After(patience)
	for {
		select {
		case m := <-reader.Messages():
			all = append(all, m)
			if m.Offset >= end-1 {
				return all
			}
		case <-limit:
			t.Fatalf("%s/%d: no message %d", topic, partition, end-1)
		}
	}
}

func headersOf(m *sarama.ConsumerMessage) map[string]string {
	headers := map[string]string{}
	for _, h := range m.Headers {
		headers[string(h.Key)] = string(h.Value)
	}
	return headers
}

// answers are the notices that name a command, by its id: what its sender was told.
func (k *kafkaClient) answers() map[string][]notice {
	k.o.t.Helper()
	answers := map[string][]notice{}
	for _, m := range k.read("notification-topic") {
		n := notice{key: string(m.Key), headers: headersOf(m), body: string(m.Value)}
		if err := json.Unmarshal(m.Value, &n); err != nil {
			k.o.t.Fatalf("%v: %s", err, m.Value)
		}
		if n.CommandID != "" {
			answers[n.CommandID] = append(answers[n.CommandID], n)
		}
	}
	return answers
}

// await waits for the first answer to a command.
func (k *kafkaClient) await(id string) (first notice) {
	k.o.t.Helper()
	eventually(k.o.t, "an answer to "+id, func() string {
		answers := k.answers()[id]
		if len(answers) == 0 {
			return "none"
		}
		first = answers[0]
		return ""
	})
	return first
}
