package commands

import (
	"encoding/json"
	"testing"

	"boxoffice/eventstore"
)

func TestMetadataWrittenByHandIsWhatTheStoreReads(t *testing.T) {
	t.Parallel()
	o := keyed("key", "body")
	o.Actor, o.Causation, o.Trace = `operator:"a\b"`, "payment-PAY-1:1", "00-\u00e9\u2028-01"
	for _, first := range []bool{true, false} {
		r := &request{id: "c-1", origin: o}
		data, err := r.metadata("b-1", first)
		if err != nil {
			t.Fatal(err)
		}
		var got eventstore.Metadata
		if err := json.Unmarshal(data, &got); err != nil {
			t.Fatalf("%s: %v", data, err)
		}
		want := eventstore.Metadata{Batch: "b-1", CommandID: "c-1", Actor: o.Actor, Causation: o.Causation, Trace: o.Trace}
		if first {
			want.Key, want.Body = o.Request.Key.String(), "body"
		}
		if got != want {
			t.Fatalf("got %+v, want %+v", got, want)
		}
		key, ok := eventstore.KeyOf(data)
		if ok != first || (first && key != o.Request.Key) {
			t.Fatalf("key %v %v", key, ok)
		}
	}
}
