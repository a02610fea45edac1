package eventstore_test

import (
	"strings"
	"testing"
	"time"

	"boxoffice/eventstore"
	"boxoffice/internal/devstack"
)

// TestArrays has Postgres say what it was sent.
func TestArrays(t *testing.T) {
	db, err := eventstore.OpenDB(devstack.Postgres(t).URL, 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	at := time.Date(2026, 11, 22, 10, 0, 0, 123_456_789, time.FixedZone("", 7*3600))
	for _, c := range []struct {
		of    string
		value []byte
		want  string
	}{
		{"text", eventstore.TextArray([]string{"a", "", `"ü,{}`, "NULL"}), `a||"ü,{}|NULL`},
		{"text", eventstore.TextArray(nil), ""},
		{"json", eventstore.JSONArray([][]byte{[]byte(`{"a":  1}`), []byte("2")}), `{"a":  1}|2`},
		{"bytea", eventstore.ByteaArray([][]byte{{0, 255}, {}}), `\x00ff|\x`},
		{"bigint", eventstore.Int8Array([]int64{1, -1, 1<<63 - 1}), "1|-1|9223372036854775807"},
		{"bigint", eventstore.Int8Array([]int64{}), ""},
		{"integer", eventstore.Int4Array([]int32{1, -1 << 31}), "1|-2147483648"},
		{"smallint", eventstore.Int2Array([]int16{1, -1 << 15}), "1|-32768"},
		{"timestamptz", eventstore.TimeArray([]time.Time{at, time.Unix(0, 0)}), "2026-11-22 03:00:00.123456+00|1970-01-01 00:00:00+00"},
	} {
		t.Run(c.of+" "+c.want, func(t *testing.T) {
			var got []string
			if err := db.SelectContext(t.Context(), &got, `SELECT v::text FROM unnest($1::`+c.of+`[]) WITH ORDINALITY AS u(v, n) ORDER BY n`, c.value); err != nil {
				t.Fatal(err)
			}
			if text := strings.Join(got, "|"); text != c.want {
				t.Errorf("Postgres read %s", text)
			}
		})
	}
}
