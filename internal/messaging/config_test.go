package messaging

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/ThreeDotsLabs/watermill-kafka/v3/pkg/kafka"
	"github.com/ThreeDotsLabs/watermill/message"
)

// TestClients pins what the delivery guarantees rest on: the choices of every client.
func TestClients(t *testing.T) {
	t.Parallel()
	cfg := Config{Brokers: []string{"127.0.0.1:9092"}, InstanceID: "api-0", TopicPrefix: "eu."}
	producer, err := cfg.producer()
	if err != nil {
		t.Fatal(err)
	}
	member, err := cfg.member(cfg.Group("availability"), batchBuffer)
	if err != nil {
		t.Fatal(err)
	}
	again, err := cfg.member(cfg.Group("availability"), batchBuffer)
	if err != nil {
		t.Fatal(err)
	}
	other, err := cfg.member(cfg.Group("orders"), batchBuffer)
	if err != nil {
		t.Fatal(err)
	}
	for what, holds := range map[string]bool{
		"the protocol's version is set":              producer.Version == sarama.V4_0_0_0 && member.Version == sarama.V4_0_0_0,
		"a message counts when all replicas have it": producer.Producer.RequiredAcks == sarama.WaitForAll,
		"the producer is idempotent":                 producer.Producer.Idempotent,
		"one request is open at a time":              producer.Net.MaxOpenRequests == 1,
		"a publish fails soon":                       producer.Producer.Retry.Max == 3 && producer.Producer.Retry.Backoff == 100*time.Millisecond,
		"nothing waits for a batch to fill":          producer.Producer.Flush.Frequency == 0 && producer.Producer.Flush.Messages == 0,
		"metadata are asked for again soon":          producer.Metadata.Retry.Backoff == 250*time.Millisecond,
		"no client creates topics by the way":        !producer.Metadata.AllowAutoTopicCreation && !member.Metadata.AllowAutoTopicCreation,
		"a new group begins at the oldest":           member.Consumer.Offsets.Initial == sarama.OffsetOldest,
		"marks are committed in the background":      member.Consumer.Offsets.AutoCommit.Enable,
		"a member is known after a restart":          member.Consumer.Group.InstanceId == "api-0-eu.availability" && again.Consumer.Group.InstanceId == member.Consumer.Group.InstanceId,
		"each handler is a member of its own":        other.Consumer.Group.InstanceId == "api-0-eu.orders",
		"no two clients share settings":              member != again,
		"no two clients share a balance strategy":    member.Consumer.Group.Rebalance.GroupStrategies[0] != again.Consumer.Group.Rebalance.GroupStrategies[0],
		"sarama accepts the settings of a producer":  producer.Validate() == nil,
		"sarama accepts the settings of a member":    member.Validate() == nil,
	} {
		if !holds {
			t.Errorf("does not hold: %s", what)
		}
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	wrong := Config{
		InstanceID: "with space", TopicPrefix: "with/slash", Partitions: -1, CA: []byte("no certificate"),
		SASL: SASL{Mechanism: "GSSAPI", Username: "u", Password: "p"},
	}
	err := wrong.Validate()
	if err == nil {
		t.Fatal("valid")
	}
	for _, part := range []string{"brokers", "instance id", "topic prefix", "partitions", "without TLS", "PEM", "SASL"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not in: %v", part, err)
		}
	}
	for what, sasl := range map[string]SASL{
		"user without mechanism": {Username: "u"},
		"mechanism alone":        {Mechanism: "PLAIN"},
		"not ASCII":              {Mechanism: "SCRAM-SHA-256", Username: "u", Password: "pässword"},
	} {
		if (Config{Brokers: []string{"b:1"}, SASL: sasl}).Validate() == nil {
			t.Errorf("valid: %s", what)
		}
	}
	if _, err := (Config{}).base(); err == nil {
		t.Error("a client without a valid configuration")
	}
}

// failing is a form that can't read anything.
type failing struct{ kafka.DefaultMarshaler }

func (failing) Unmarshal(*sarama.ConsumerMessage) (*message.Message, error) {
	return nil, errors.New("unreadable")
}

func TestUnmarshalNeverFails(t *testing.T) {
	t.Parallel()
	in := &sarama.ConsumerMessage{Value: []byte{0xff, 0}, Headers: []*sarama.RecordHeader{{Key: []byte(undecodableMetadata), Value: []byte("forged")}}}
	msg, err := Marshaler{inner: failing{}}.Unmarshal(in)
	if err != nil {
		t.Fatalf("the partition would be stuck: %v", err)
	}
	if reason := Undecodable(msg); reason == nil || reason.Error() != "unreadable" || !IsPermanent(reason) || string(msg.Payload) != "\xff\x00" {
		t.Errorf("got %v, payload %q", reason, msg.Payload)
	}
	msg, err = Marshaler{}.Unmarshal(in)
	if err != nil || Undecodable(msg) != nil {
		t.Errorf("a sender can flag its message: %v, %v", err, Undecodable(msg))
	}
}

// TestSCRAM follows the example of RFC 7677.
func TestSCRAM(t *testing.T) {
	t.Parallel()
	cfg := sarama.NewConfig()
	SASL{Mechanism: sarama.SASLTypeSCRAMSHA256, Username: "user", Password: "pencil"}.apply(cfg)
	client, _ := cfg.Net.SASL.SCRAMClientGeneratorFunc().(*scram)
	client.nonce = "rOprNGfwEbeRWgbNEkqO"
	if err := client.Begin("user", "pencil", ""); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct{ challenge, want string }{
		{"", "n,,n=user,r=rOprNGfwEbeRWgbNEkqO"},
		{
			"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
			"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
		},
		{"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=", ""},
	} {
		if got, err := client.Step(step.challenge); err != nil || got != step.want {
			t.Fatalf("to %q: got %q, %v", step.challenge, got, err)
		}
	}
	if !client.Done() {
		t.Error("not done")
	}
	for _, bad := range []string{"v=AAAA", "e=other-error", ""} {
		if client.verify(bad) == nil {
			t.Errorf("the server proved itself with %q", bad)
		}
	}
	for _, bad := range []string{
		"", "r=rOprNGfwEbeRWgbNEkqO,s=AAAA,i=4096", "r=another,s=AAAA,i=4096",
		"r=rOprNGfwEbeRWgbNEkqOx,s=AAAA,i=999999999", "r=rOprNGfwEbeRWgbNEkqOx,s=,i=1",
	} {
		if _, err := client.prove(bad); err == nil {
			t.Errorf("answered the challenge %q", bad)
		}
	}
}
