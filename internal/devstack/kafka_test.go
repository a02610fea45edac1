package devstack

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/IBM/sarama"
)

// client connects as the product does, but gives up soon.
func client(t *testing.T, brokers []string) (sarama.Client, error) {
	t.Helper()
	c := sarama.NewConfig()
	c.Version = sarama.V4_0_0_0
	c.Producer.Return.Successes = true
	c.Producer.Retry.Max, c.Metadata.Retry.Max, c.Net.DialTimeout = 0, 0, time.Second
	return sarama.NewClient(brokers, c)
}

// send publishes one message and returns its offset.
func send(t *testing.T, brokers []string, topic string) (int64, error) {
	t.Helper()
	c, err := client(t, brokers)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	p, err := sarama.NewSyncProducerFromClient(c)
	if err != nil {
		return 0, err
	}
	defer p.Close()
	_, offset, err := p.SendMessage(&sarama.ProducerMessage{Topic: topic, Key: sarama.StringEncoder("k"), Value: sarama.StringEncoder("v")})
	return offset, err
}

func mustSend(t *testing.T, brokers []string, topic string, want int64) {
	t.Helper()
	offset, err := send(t, brokers, topic)
	if err != nil || offset != want {
		t.Fatalf("sent at offset %d: %v, want %d", offset, err, want)
	}
}

func TestABrokerOfATest(t *testing.T) {
	t.Parallel()
	k := OwnKafka(t)
	topic := k.Prefix + "orders"
	t.Run("has no topics but those that were created", func(t *testing.T) {
		if _, err := send(t, k.Brokers, topic); !errors.Is(err, sarama.ErrUnknownTopicOrPartition) {
			t.Errorf("got %v", err)
		}
		if err := k.Server.Cluster().CreateTopic(topic, 1, nil); err != nil {
			t.Fatal(err)
		}
		mustSend(t, k.Brokers, topic, 0)
	})
	t.Run("can be cut off and comes back as it was", func(t *testing.T) {
		living, err := client(t, k.Brokers)
		if err != nil {
			t.Fatal(err)
		}
		defer living.Close()
		for range 2 {
			if err := k.Server.CutOff(); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := send(t, k.Brokers, topic); err == nil {
			t.Error("a new client got through")
		}
		if err := living.RefreshMetadata(); err == nil {
			t.Error("an old client got through")
		}
		for range 2 {
			if err := k.Server.Reconnect(); err != nil {
				t.Fatal(err)
			}
		}
		mustSend(t, k.Brokers, topic, 1)
		if err := living.RefreshMetadata(); err != nil {
			t.Errorf("an old client does not get through again: %v", err)
		}
	})
	t.Run("cannot be used after it was stopped", func(t *testing.T) {
		if err := k.Server.Stop(); err != nil {
			t.Fatal(err)
		}
		if k.Server.Restart() == nil || k.Server.CutOff() == nil || k.Server.Reconnect() == nil {
			t.Error("it can")
		}
	})
}

func TestABrokerKeepsItsMessages(t *testing.T) {
	t.Parallel()
	cfg := KafkaConfig{Dir: filepath.Join(t.TempDir(), "kafka"), AutoCreate: true, Partitions: 1}
	k, err := StartKafka(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := k.Stop(); err != nil {
			t.Error(err)
		}
	}()
	brokers := k.Brokers()
	eventually(t, "the topic is created at its first use", func() bool {
		_, err := send(t, brokers, "orders")
		return err == nil
	})
	t.Run("over a restart, on the same port", func(t *testing.T) {
		if err := k.Restart(); err != nil {
			t.Fatal(err)
		}
		mustSend(t, brokers, "orders", 1)
	})
	t.Run("from a second broker on its folder", func(t *testing.T) {
		if _, err := StartKafka(cfg); !errors.Is(err, ErrInUse) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("over a stop and a new start", func(t *testing.T) {
		if err := k.Stop(); err != nil {
			t.Fatal(err)
		}
		if k, err = StartKafka(cfg); err != nil {
			t.Fatal(err)
		}
		mustSend(t, k.Brokers(), "orders", 2)
	})
}
