package messaging_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"

	"boxoffice/internal/devstack"
	"boxoffice/internal/messaging"
)

func TestReadNewestReadsTheEndsOfPartitions(t *testing.T) {
	t.Parallel()
	kafka := devstack.Kafka(t)
	cfg := messaging.Config{Brokers: kafka.Brokers, TopicPrefix: kafka.Prefix, Partitions: 2, CreateTopics: true}
	newest := func(n int64) (got []string) {
		t.Helper()
		err := messaging.ReadNewest(t.Context(), cfg, messaging.OrdersTopic, n, func(partition int32, m messaging.Message) error {
			got = append(got, fmt.Sprintf("%d/%d %s", partition, m.Offset, m.Payload))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := newest(1); got != nil {
		t.Errorf("a topic that is not there has %v", got)
	}
	if err := messaging.EnsureTopics(t.Context(), cfg, messaging.OrdersTopic); err != nil {
		t.Fatal(err)
	}
	if got := newest(1); got != nil {
		t.Errorf("an empty topic has %v", got)
	}
	publisher, err := messaging.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		m := message.NewMessage(fmt.Sprint(i), fmt.Append(nil, i))
		m.Metadata.Set(messaging.KeyMetadata, "one key")
		if err := publisher.Publish(messaging.OrdersTopic, m); err != nil {
			t.Fatal(err)
		}
	}
	if err := publisher.Close(); err != nil {
		t.Fatal(err)
	}
	for n, want := range map[int64]int{1: 1, 2: 2, 9: 5} {
		got := newest(n)
		if len(got) != want || got[len(got)-1][2:] != "4 4" || got[0][2:] != fmt.Sprintf("%d %d", 5-want, 5-want) {
			t.Errorf("the newest %d are %v", n, got)
		}
	}
	enough := errors.New("enough")
	if err := messaging.ReadNewest(t.Context(), cfg, messaging.OrdersTopic, 2, func(int32, messaging.Message) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("it ends with %v", err)
	}
}
