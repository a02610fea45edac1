package messaging

import (
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/IBM/sarama"
)

func TestADeadLetterFitsWhateverItsHeadersAre(t *testing.T) {
	t.Parallel()
	many := make([]*sarama.RecordHeader, 60_000)
	for i := range many {
		many[i] = &sarama.RecordHeader{Key: []byte("header-" + strconv.Itoa(i)), Value: []byte("x")}
	}
	large := []byte(strings.Repeat("x", 1_000_000))
	for name, in := range map[string]*sarama.ConsumerMessage{
		"a large header":  {Headers: []*sarama.RecordHeader{{Key: []byte("x"), Value: large}}},
		"a large name":    {Headers: []*sarama.RecordHeader{{Key: large, Value: []byte("x")}}},
		"many headers":    {Headers: many},
		"a large key":     {Key: large},
		"a large payload": {Value: large},
		"some of each":    {Headers: many, Key: large[:500_000], Value: large},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in.Headers = append(in.Headers, &sarama.RecordHeader{Key: []byte("ce_id"), Value: []byte("1")})
			letter := deadLetter(in, "topic", "group", errors.New(string(large)))
			out, err := Marshaler{}.Marshal(DeadLetterTopic, letter)
			if err != nil {
				t.Fatal(err)
			}
			if size := out.ByteSize(recordVersion); size > maxMessageBytes {
				t.Errorf("it has %d bytes, at most %d", size, maxMessageBytes)
			}
			if letter.Metadata[DeadTopic] != "topic" || letter.Metadata["ce_id"] != "1" {
				t.Errorf("it lost its own headers: %d are left", len(letter.Metadata))
			}
			if cut := letter.Metadata[DeadHeadersCut] + letter.Metadata[DeadCut]; cut == "" {
				t.Error("it does not say that something is cut")
			}
		})
	}
	t.Run("and nothing is lost of one that fits", func(t *testing.T) {
		t.Parallel()
		in := &sarama.ConsumerMessage{Key: []byte("k"), Headers: []*sarama.RecordHeader{{Key: []byte("x"), Value: []byte("y")}}}
		letter := deadLetter(in, "topic", "group", errors.New("reason"))
		if letter.Metadata["x"] != "y" || letter.Metadata[KeyMetadata] != "k" || letter.Metadata[DeadHeadersCut] != "" {
			t.Errorf("headers %v", letter.Metadata)
		}
	})
	t.Run("and of a command neither its body nor the sender's own headers", func(t *testing.T) {
		t.Parallel()
		in := &sarama.ConsumerMessage{Key: []byte("1"), Value: []byte(`{"customer":{"email":"ana@example.com"}`), Headers: []*sarama.RecordHeader{
			{Key: []byte("x-user"), Value: []byte("ana@example.com")}, {Key: []byte("ce_type"), Value: []byte("PlaceOrder")},
		}}
		letter := deadLetter(in, CommandsTopic, "commands", errors.New("reason"))
		if len(letter.Payload) != 0 || letter.Metadata["x-user"] != "" || letter.Metadata["ce_type"] != "PlaceOrder" {
			t.Errorf("kept: %q %v", letter.Payload, letter.Metadata)
		}
		if letter.Metadata[DeadCut] != strconv.Itoa(len(in.Value)) || letter.Metadata[DeadHeadersCut] == "" {
			t.Errorf("what is missing is not told: %v", letter.Metadata)
		}
	})
}
