package domain

import "time"

// maxPlace is how long the name of a projection, a stream or a topic may be, in characters.
const maxPlace = 200

// StreamDiscarded says that an operator gave something up that could not be processed: the events of a stream
// from a version on for one projection, which keeps the row that it has, or a dead letter. The log keeps all.
type StreamDiscarded struct {
	Projection  string      `json:"projection,omitempty"`
	Stream      string      `json:"stream,omitempty"`
	Version     int64       `json:"version,omitempty"` // the first that is left out
	Letter      *DeadLetter `json:"letter,omitempty"`  // instead of the three above
	Reason      string      `json:"reason"`
	DiscardedAt time.Time   `json:"discardedAt"`
}

// DeadLetter names a letter of dead-letter-topic. It holds nothing of its content, where people may stand.
type DeadLetter struct {
	Topic     string `json:"topic"`     // that the letter's message was meant for
	Partition int32  `json:"partition"` // with Offset: the letter's place in dead-letter-topic
	Offset    int64  `json:"offset"`
	Digest    string `json:"digest"` // tells it from another one at the same place
}

// EventType names the event in the log.
func (StreamDiscarded) EventType() string { return "StreamDiscarded" }

// DiscardStream gives up what could not be processed, for a reason: a stream for a projection, from a version on,
// or a dead letter. It is written to the inbox of the month.
type DiscardStream struct {
	Projection string
	Stream     string
	Version    int64
	Letter     *DeadLetter // instead of the three above
	Reason     string
}

// Needs names the inbox.
func (c DiscardStream) Needs() Needs { return Needs{Inbox: true} }

func (c DiscardStream) phase(*Batch) int { return phaseRelease }

func (c DiscardStream) decide(p *plan) error {
	if err := checkText("/reason", "reason", c.Reason, 1, MaxReason); err != nil {
		return err
	}
	discarded := StreamDiscarded{
		Projection: c.Projection, Stream: c.Stream, Version: c.Version, Reason: c.Reason, DiscardedAt: p.batch.at,
	}
	names := [][2]string{{"projection", c.Projection}, {"stream", c.Stream}}
	if c.Letter != nil {
		letter := *c.Letter
		discarded.Projection, discarded.Stream, discarded.Version, discarded.Letter = "", "", 0, &letter
		names = [][2]string{{"topic", letter.Topic}, {"digest", letter.Digest}}
	} else if c.Version < 1 {
		return invalid("/version", "The version must be at least 1.")
	}
	for _, name := range names {
		if err := checkText("/"+name[0], name[0], name[1], 1, maxPlace); err != nil {
			return err
		}
	}
	p.onInbox(InboxStream(p.batch.at), discarded)
	return nil
}
