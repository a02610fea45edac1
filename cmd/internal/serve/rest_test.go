package serve_test

import (
	"fmt"
	"time"

	"github.com/IBM/sarama"

	"boxoffice/internal/messaging"
	"boxoffice/projections"
)

// awaitRest waits until there is nothing left to do: the relay is at the head, projections and payments have
// read all that is in their topics, and the log has not grown meanwhile.
func (o *office) awaitRest() {
	o.t.Helper()
	o.awaitRestWithin(patience)
}

func (o *office) awaitRestWithin(limit time.Duration) {
	o.t.Helper()
	within(o.t, limit, "everything has caught up", func() string {
		head := o.head()
		if relayed := o.relayed(); relayed != head {
			return fmt.Sprintf("the relay is at %d of %d", relayed, head)
		}
		for _, p := range projections.All() {
			definition := p.Definition()
			for _, b := range o.bounds(definition.Topic) {
				if read := o.next(definition.Name, b); read != b.Newest {
					return fmt.Sprintf("%s is at %d of %d in partition %d", definition.Name, read, b.Newest, b.Partition)
				}
			}
		}
		if behind := o.groupBehind("payments", messaging.PaymentsTopic); behind != "" {
			return behind
		}
		if now := o.head(); now != head {
			return fmt.Sprintf("the log went from %d to %d", head, now)
		}
		return ""
	})
}

// next is the offset of a partition that a projection has not applied yet.
func (o *office) next(projection string, b messaging.Bounds) int64 {
	o.t.Helper()
	return o.number(`SELECT coalesce(max(next_offset), 0) FROM checkpoints WHERE name = $1 AND topic = $2 AND partition = $3`,
		projection, b.Topic, b.Partition)
}

// relayed is how far the relay has published.
func (o *office) relayed() int64 {
	o.t.Helper()
	return o.number(`SELECT position FROM checkpoints WHERE name = 'relay'`)
}

func (o *office) bounds(topic string) []messaging.Bounds {
	o.t.Helper()
	bounds, err := messaging.TopicBounds(o.t.Context(), o.kafka, topic)
	if err != nil {
		o.t.Fatal(err)
	}
	return bounds
}

// groupBehind says how far a consumer group is behind its topic; empty: it is not.
func (o *office) groupBehind(group, name string) string {
	o.t.Helper()
	admin, err := sarama.NewClusterAdmin(o.kafka.Brokers, sarama.NewConfig())
	if err != nil {
		o.t.Fatal(err)
	}
	defer func() { _ = admin.Close() }()
	topic := o.kafka.TopicPrefix + name
	bounds := o.bounds(name)
	partitions := make([]int32, len(bounds))
	for i, b := range bounds {
		partitions[i] = b.Partition
	}
	offsets, err := admin.ListConsumerGroupOffsets(o.kafka.Group(group), map[string][]int32{topic: partitions})
	if err != nil {
		o.t.Fatal(err)
	}
	for _, b := range bounds {
		block := offsets.GetBlock(topic, b.Partition)
		if b.Newest > 0 && (block == nil || block.Offset != b.Newest) {
			return fmt.Sprintf("%s has not read all %d of partition %d", group, b.Newest, b.Partition)
		}
	}
	return ""
}
