package domain

import (
	"strings"
	"testing"
)

func TestWhatCanNotBeProcessedIsDiscardedForAReason(t *testing.T) {
	t.Parallel()
	stream := DiscardStream{Projection: "order_status", Stream: OrderStream(order1), Version: 2, Reason: "written by hand"}
	letter := DiscardStream{Letter: &DeadLetter{Topic: "commands-topic", Partition: 1, Offset: 7, Digest: "c0ffee"}, Reason: "spam"}
	without := func(change func(*DiscardStream)) DiscardStream {
		c := stream
		change(&c)
		return c
	}
	runRules(t, []ruleCase{
		{
			name: "a stream for a projection", when: stream, then: "StreamDiscarded",
			check: func(t *testing.T, w *world) {
				e := lastOf[StreamDiscarded](w)
				wantEqual(t, e.Stream, OrderStream(order1))
				wantEqual(t, e.Version, 2)
				wantEqual(t, e.Reason, "written by hand")
				wantEqual(t, w.states.Inboxes[InboxStream(w.at)].Version, 1)
			},
		},
		{
			name: "a dead letter, of which nothing else is told", when: DiscardStream{Projection: "p", Stream: "s", Letter: letter.Letter, Reason: "spam"}, then: "StreamDiscarded",
			check: func(t *testing.T, w *world) {
				e := lastOf[StreamDiscarded](w)
				wantEqual(t, *e.Letter, *letter.Letter)
				wantEqual(t, e.Projection+e.Stream, "")
			},
		},
		{name: "not without a reason", when: without(func(c *DiscardStream) { c.Reason = " " }), code: Invalid, field: "/reason"},
		{name: "not for no projection", when: without(func(c *DiscardStream) { c.Projection = "" }), code: Invalid, field: "/projection"},
		{name: "not a stream without a name", when: without(func(c *DiscardStream) { c.Stream = "\x00" }), code: Invalid, field: "/stream"},
		{name: "not from nowhere on", when: without(func(c *DiscardStream) { c.Version = 0 }), code: Invalid, field: "/version"},
		{name: "not a topic that is a story", when: DiscardStream{Letter: &DeadLetter{Topic: strings.Repeat("t", 201), Digest: "d"}, Reason: "x"}, code: Invalid, field: "/topic"},
		{name: "not a letter that can't be told apart", when: DiscardStream{Letter: &DeadLetter{Topic: "t"}, Reason: "x"}, code: Invalid, field: "/digest"},
	})
}
