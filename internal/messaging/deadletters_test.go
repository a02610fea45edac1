package messaging_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/IBM/sarama"
	"github.com/ThreeDotsLabs/watermill/message"

	"boxoffice/internal/messaging"
)

// dead is a dead letter of a message that was at a place of commands-topic.
func dead(t *testing.T, payload string, more map[string]string) *message.Message {
	t.Helper()
	msg := keyed(t, "7", payload)
	for name, value := range map[string]string{
		"ce_type": "PlaceOrder", messaging.KeyMetadata: "7", messaging.DeadReason: "refused", messaging.DeadGroup: "commands",
		messaging.DeadTopic: messaging.CommandsTopic, messaging.DeadPartition: "0", messaging.DeadOffset: "0",
	} {
		msg.Metadata.Set(name, value)
	}
	for name, value := range more {
		msg.Metadata.Set(name, value)
	}
	return msg
}

func letters(t *testing.T, cfg messaging.Config, newest int64) (all []messaging.DeadLetter) {
	t.Helper()
	err := messaging.ReadDeadLetters(t.Context(), cfg, newest, func(l messaging.DeadLetter) error {
		all = append(all, l)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestDeadLettersAreReadAsTheyWere(t *testing.T) {
	t.Parallel()
	cfg := newKafka(t)
	newTopic(t, cfg, messaging.DeadLetterTopic, 1)
	newTopic(t, cfg, messaging.CommandsTopic, 1)
	p := open(t, cfg)
	if got := letters(t, cfg, 10); len(got) != 0 {
		t.Fatalf("an empty topic has %d letters", len(got))
	}
	publish(t, p, messaging.DeadLetterTopic, dead(t, `{"n":0}`, nil), dead(t, `{"n":1}`, nil), dead(t, "\xff", map[string]string{messaging.DeadPartition: "x"}))
	all := letters(t, cfg, 2)
	if len(all) != 2 || all[0].Offset != 1 || string(all[0].Message.Payload) != `{"n":1}` {
		t.Fatalf("the newest two are %+v", all)
	}
	l, err := messaging.ReadDeadLetter(t.Context(), cfg, 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	want := messaging.Place{Partition: 0, Offset: 0, Known: true}
	if l.Reason != "refused" || l.Group != "commands" || l.Topic != messaging.CommandsTopic || l.From != want || l.Key != "7" || l.At.IsZero() || l.Cut != 0 {
		t.Errorf("the letter is %+v", l)
	}
	if l.Digest() != all[0].Digest() || l.Digest() == all[1].Digest() || all[1].From.Known {
		t.Errorf("the digests are %s, %s, %s", l.Digest(), all[0].Digest(), all[1].Digest())
	}
	original, err := l.Original(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	publish(t, p, l.Topic, original)
	again := read(t, cfg, messaging.CommandsTopic)
	if len(again) != 1 || again[0].Key != "7" || again[0].UUID != l.Message.UUID || string(again[0].Payload) != `{"n":1}` || again[0].Metadata.Get("ce_type") != "PlaceOrder" {
		t.Fatalf("it was sent as %+v", again)
	}
	for name := range again[0].Metadata {
		if strings.Contains(name, "dead") || strings.Contains(name, "poison") || name == messaging.KeyMetadata {
			t.Errorf("%s is left", name)
		}
	}
	for _, at := range []struct {
		partition int32
		offset    int64
	}{{0, 3}, {0, -1}, {7, 0}} {
		if _, err := messaging.ReadDeadLetter(t.Context(), cfg, at.partition, at.offset); !errors.Is(err, messaging.ErrNoMessage) {
			t.Errorf("at %+v: %v", at, err)
		}
	}
}

func TestWhatWasCutIsReadWhereItCameFrom(t *testing.T) {
	t.Parallel()
	cfg := newKafka(t)
	newTopic(t, cfg, messaging.DeadLetterTopic, 1)
	newTopic(t, cfg, messaging.CommandsTopic, 1)
	p := open(t, cfg)
	publish(t, p, messaging.CommandsTopic, keyed(t, "7", "whole and all"))
	cut := func(payload, bytes, offset string) *message.Message {
		return dead(t, payload, map[string]string{messaging.DeadCut: bytes, messaging.DeadOffset: offset})
	}
	nowhere := cut("whole", "8", "0")
	delete(nowhere.Metadata, messaging.DeadOffset)
	headers := dead(t, "whole and all", map[string]string{messaging.DeadHeadersCut: "9"})
	publish(t, p, messaging.DeadLetterTopic,
		cut("whole", "8", "0"), cut("other", "8", "0"), cut("whole", "9", "0"), cut("whole", "8", "1"), nowhere, headers,
		dead(t, "x", map[string]string{messaging.DeadTopic: "elsewhere"}),
		dead(t, "x", map[string]string{messaging.DeadTopic: messaging.DeadLetterTopic}),
		dead(t, "x", map[string]string{messaging.DeadGroup: messaging.RelayGroup}))
	var whole []int64
	for _, l := range letters(t, cfg, 100) {
		msg, err := l.Original(t.Context(), cfg)
		if err == nil && string(msg.Payload) != "whole and all" {
			t.Errorf("letter %d is %q", l.Offset, msg.Payload)
		}
		if err == nil {
			whole = append(whole, l.Offset)
		} else if !errors.Is(err, messaging.ErrNotRetryable) {
			t.Errorf("letter %d: %v", l.Offset, err)
		}
	}
	if !slices.Equal(whole, []int64{0, 5}) {
		t.Errorf("letters %v are whole again", whole)
	}
}

func TestAMessageThatCanNotBeSentBecomesALetterThatCan(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("x", 2<<20)
	for name, c := range map[string]struct {
		msg  *message.Message
		want error
	}{
		"large data":     {keyed(t, "key", large), sarama.ErrMessageSizeTooLarge},
		"a large header": {func() *message.Message { m := keyed(t, "key", "x"); m.Metadata.Set("h", large); return m }(), sarama.ErrMessageSizeTooLarge},
		"no key":         {keyed(t, "", "x"), messaging.ErrNoKey},
		"half a million": {keyed(t, "key", large[:600_000]), nil},
		"small":          {keyed(t, "key", "x"), nil},
	} {
		err := messaging.CheckSize(messaging.OrdersTopic, c.msg)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			continue
		}
		before := len(c.msg.Metadata)
		letter := messaging.Unsent(c.msg, messaging.OrdersTopic, messaging.RelayGroup, err)
		if err := messaging.CheckSize(messaging.DeadLetterTopic, letter); err != nil {
			t.Errorf("%s: the letter: %v", name, err)
		}
		if len(c.msg.Metadata) != before || letter.Metadata.Get(messaging.DeadGroup) != messaging.RelayGroup {
			t.Errorf("%s: the message has %d headers more, the letter %v", name, len(c.msg.Metadata)-before, letter.Metadata.Get(messaging.DeadGroup))
		}
	}
}
