package eventstore_test

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"boxoffice/eventstore"
)

func published() eventstore.Recorded {
	return eventstore.Recorded{
		Event:      eventstore.Event{Stream: "show-42", Version: 17, Type: "TicketsHeld", SchemaVersion: 1, Data: []byte(`{"held":3}`)},
		Position:   99,
		RecordedAt: time.Date(2026, 11, 22, 10, 0, 0, 120_000_000, time.UTC),
	}
}

func TestAnEventOnKafka(t *testing.T) {
	last := published()
	last.Hash = eventstore.Chain(nil, []eventstore.Event{last.Event}, last.RecordedAt, 1)
	t.Run("carries CloudEvents headers", func(t *testing.T) {
		m := eventstore.ToMessage(published())
		want := message.Metadata{
			"ce_specversion": "1.0", "ce_id": "show-42:17", "ce_type": "boxoffice.TicketsHeld.v1", "ce_source": "/boxoffice",
			"ce_subject": "show-42", "ce_time": "2026-11-22T10:00:00.12Z", "content-type": "application/json",
			"boxoffice_version": "17", "boxoffice_position": "99",
		}
		if !reflect.DeepEqual(m.Metadata, want) {
			t.Errorf("headers are %v, want %v", m.Metadata, want)
		}
		if m.UUID != "show-42:17" || string(m.Payload) != `{"held":3}` {
			t.Errorf("message %s is %s", m.UUID, m.Payload)
		}
	})
	t.Run("comes back as it was, with its hash if it ends an append", func(t *testing.T) {
		for _, want := range []eventstore.Recorded{published(), last} {
			got, err := eventstore.FromMessage(eventstore.ToMessage(want))
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("came back as %+v, %v", got, err)
			}
		}
	})
	t.Run("carries its trace, if it has one", func(t *testing.T) {
		const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
		for metadata, want := range map[string]string{
			"": "", `{"batch":"b-1"}`: "",
			`{"batch":"b-1","actor":"customer","trace":"` + trace + `"}`:   trace,
			`{"trace":"` + trace + `","batch":"b-1"}`:                      trace,
			`{"actor":"operator:\"trace\":\"` + trace + `","batch":"b-1"}`: "",
			`{"batch":"b-1","trace":"` + trace + `-and-more"}`:             "",
			`{"batch":"b-1","trace":"00-0af7"}`:                            "",
			`{"batch":"b-1","trace":"` + trace:                             "",
			`{"batch":"b-1","trace":""}`:                                   "",
		} {
			e := published()
			e.Metadata = []byte(metadata)
			m := eventstore.ToMessage(e)
			if got, there := m.Metadata["traceparent"]; got != want || there != (want != "") {
				t.Errorf("with %s it carries %q", metadata, got)
			}
			if _, err := eventstore.FromMessage(m); err != nil {
				t.Errorf("with %s it is not read: %v", metadata, err)
			}
		}
	})
	t.Run("leaves its metadata behind", func(t *testing.T) {
		e := published()
		e.Metadata = []byte(`{"actor":"customer","key":"AAAAAAAAAAAAAAAAAAAAAA"}`)
		if got, err := eventstore.FromMessage(eventstore.ToMessage(e)); err != nil || got.Metadata != nil {
			t.Errorf("came back with %s, %v", got.Metadata, err)
		}
	})
}

func TestWhatIsNotAnEventOfTheLog(t *testing.T) {
	for header, values := range map[string][]string{
		"ce_specversion":     {"", "0.3"},
		"ce_type":            {"", "PlaceOrder", "boxoffice.", "boxoffice.TicketsHeld", "boxoffice..v1", "boxoffice.TicketsHeld.v0", "boxoffice.TicketsHeld.v99999", "boxoffice.TicketsHeld.vx"},
		"ce_id":              {"", "show-42", "show-42:18", "show-43:17", ":17"},
		"ce_subject":         {"", "show-43"},
		"ce_time":            {"", "yesterday"},
		"boxoffice_version":  {"", "0", "-1", "x", "99999999999999999999", "+17"},
		"boxoffice_position": {"", "0", "x"},
		"boxoffice_hash":     {"00", "zz"},
	} {
		for _, value := range values {
			t.Run(header+" is "+value, func(t *testing.T) {
				m := eventstore.ToMessage(published())
				m.Metadata[header] = value
				if e, err := eventstore.FromMessage(m); !errors.Is(err, eventstore.ErrForeign) || !reflect.DeepEqual(e, eventstore.Recorded{}) {
					t.Errorf("read as %+v, %v", e, err)
				}
			})
		}
	}
	for name, m := range map[string]*message.Message{"no message": nil, "no headers": {}, "nothing": message.NewMessage("", nil)} {
		t.Run(name, func(t *testing.T) {
			if _, err := eventstore.FromMessage(m); !errors.Is(err, eventstore.ErrForeign) {
				t.Errorf("error is %v", err)
			}
		})
	}
}

// FuzzFromMessage: no header makes it panic, and what it takes for an event is one.
func FuzzFromMessage(f *testing.F) {
	f.Add("1.0", "show-42:17", "boxoffice.TicketsHeld.v1", "show-42", "2026-11-22T10:00:00.12Z", "17", "99", "")
	f.Add("1.0", ":", "boxoffice..v", "", "", "", "", "0")
	f.Fuzz(func(t *testing.T, spec, id, name, subject, at, version, position, hash string) {
		m := message.NewMessage("", nil)
		m.Metadata = message.Metadata{
			"ce_specversion": spec, "ce_id": id, "ce_type": name, "ce_subject": subject, "ce_time": at,
			"boxoffice_version": version, "boxoffice_position": position, "boxoffice_hash": hash,
		}
		e, err := eventstore.FromMessage(m)
		if err != nil {
			return
		}
		if e.ID() != id || e.Stream != subject || e.Version < 1 || e.Position < 1 || e.Type == "" {
			t.Errorf("read as %+v", e)
		}
	})
}
