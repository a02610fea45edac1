package devstack

import (
	"testing"

	"github.com/IBM/sarama"
)

func TestAKilledBrokerComesBackWithWhatItHad(t *testing.T) {
	t.Parallel()
	k := KillableKafka(t)
	topic := k.Prefix + "orders"
	mustCreate(t, k.Brokers, topic)
	mustSend(t, k.Brokers, topic, 0)
	for round := range int64(2) {
		for range 2 {
			if err := k.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := send(t, k.Brokers, topic); err == nil {
			t.Error("it takes messages though it was killed")
		}
		for range 2 {
			if err := k.Process.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		mustSend(t, k.Brokers, topic, round+1)
	}
}

// mustCreate creates a topic of one partition, as a client does.
func mustCreate(t *testing.T, brokers []string, topic string) {
	t.Helper()
	c, err := client(t, brokers)
	if err != nil {
		t.Fatal(err)
	}
	admin, err := sarama.NewClusterAdminFromClient(c)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	if err := admin.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: 1, ReplicationFactor: 1}, false); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the topic has a leader", func() bool {
		led, err := c.WritablePartitions(topic)
		return c.RefreshMetadata(topic) == nil && err == nil && len(led) == 1
	})
}
