package projections

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

// Whatever is a JSON object is taken apart as a decoder does it, and nothing panics.
func FuzzMembers(f *testing.F) {
	for _, seed := range []string{
		`{}`, ` { "a" : 1 , "b":[1,{"c":"}]\""}],"d":{"e":{}}} `, `{"a":"\\","b":"\\\"","c":-1.5e3,"d":true,"e":null}`, `{"a":"` + "\u00e4\u2028" + `"}`,
		`{"a":1,}`, `{"a"}`, `{"a":}`, `[1]`, `{"a":1}{`, `{"a":1} x`, `{`, ``, `{"a":"x`, `{"a":[`, `{"a":1 "b":2}`, `{,"a":1}`, `{"a":[}]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got := map[string]string{}
		err := members(data, func(name []byte, value rawJSON) error {
			got[string(name)] = string(value)
			return nil
		})
		var want map[string]json.RawMessage
		// jsontext refuses duplicate names and bad UTF-8, of which a decoder makes something of its own.
		if !jsontext.Value(data).IsValid() || json.Unmarshal(data, &want) != nil || want == nil || bytes.Contains(data, []byte(`\`)) {
			return
		}
		if err != nil {
			t.Fatalf("%q: %v", data, err)
		}
		for name, value := range want {
			if string(value) == "null" {
				delete(want, name)
			} else if got[name] != string(value) {
				t.Fatalf("%q: %s is %q, not %q", data, name, got[name], value)
			}
		}
		if len(got) != len(want) {
			t.Fatalf("%q: %v, not %v", data, got, want)
		}
	})
}

func TestWhatIsNoObjectIsNotTakenApart(t *testing.T) {
	t.Parallel()
	for data := range strings.FieldsSeq(`{"a":1,} {"a"} {"a":} [1] {"a":1}{ {"a":1}x { {"a":"x {"a":[ {"a":1"b":2} {,"a":1} 17 "a"`) {
		if err := members([]byte(data), func([]byte, rawJSON) error { return nil }); err == nil {
			t.Errorf("%s is taken for an object", data)
		}
	}
}
