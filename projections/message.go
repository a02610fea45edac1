package projections

import "github.com/ThreeDotsLabs/watermill/message"

// Message is a message of a topic with its place in the partition.
type Message struct {
	Offset int64
	*message.Message
}
