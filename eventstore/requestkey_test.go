package eventstore_test

import (
	"encoding/json"
	"testing"

	"boxoffice/eventstore"
)

func TestRequestKey(t *testing.T) {
	key := eventstore.NewRequestKey("POST /orders", "u1", "k1")
	t.Run("is the same for the same request only", func(t *testing.T) {
		if key != eventstore.NewRequestKey("POST /orders", "u1", "k1") {
			t.Error("the same request has another key")
		}
		for _, other := range [][3]string{{"POST /shows", "u1", "k1"}, {"POST /orders", "u2", "k1"}, {"POST /orders", "u1", "k2"}, {"POST /orders", "u", "1k1"}} {
			if key == eventstore.NewRequestKey(other[0], other[1], other[2]) {
				t.Errorf("%v has the same key", other)
			}
		}
	})
	t.Run("is the key it always was", func(t *testing.T) {
		if got := key.String(); got != "VV3-Zrxr6Vx0g6L_GUlCdA" { // it is in the log
			t.Errorf("it is %s", got)
		}
	})
	t.Run("is read as it was written", func(t *testing.T) {
		got, err := eventstore.ParseRequestKey(key.String())
		if err != nil || got != key || len(key.String()) != 22 {
			t.Errorf("%s was read as %s, %v", key, got, err)
		}
	})
	for _, text := range []string{"", "AAAA", "AAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAA+", "AAAAAAAAAAAAAAAAAAAAAB", "AAAAAAAAAAA\nAAAAAAAAAA"} {
		t.Run("is not "+text, func(t *testing.T) {
			if got, err := eventstore.ParseRequestKey(text); err == nil || got != (eventstore.RequestKey{}) {
				t.Errorf("read as %s, %v", got, err)
			}
		})
	}
}

func TestKeyOfMetadata(t *testing.T) {
	key := eventstore.NewRequestKey("POST /orders", "u1", "k1")
	encode := func(m eventstore.Metadata) json.RawMessage {
		b, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for _, c := range []struct {
		name     string
		metadata json.RawMessage
		found    bool
	}{
		{"among others", encode(eventstore.Metadata{Batch: "b", Actor: "customer", Key: key.String(), Body: "x"}), true},
		{"alone", json.RawMessage(`{"key":"` + key.String() + `"}`), true},
		{"not there", encode(eventstore.Metadata{Batch: "b"}), false},
		{"only in another member's text", encode(eventstore.Metadata{Batch: `","key":"` + key.String() + `"`}), false},
		{"no key", encode(eventstore.Metadata{Key: "short"}), false},
		{"cut off", json.RawMessage(`{"key":"` + key.String()), false},
		{"nothing", nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, ok := eventstore.KeyOf(c.metadata)
			if ok != c.found || ok && got != key {
				t.Errorf("found %s, %v in %s", got, ok, c.metadata)
			}
		})
	}
}
