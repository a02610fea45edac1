package qris_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"

	"boxoffice/internal/payments/qris"
)

func merchant() qris.Merchant {
	return qris.Merchant{
		Name: "Boxoffice", City: "Jakarta", PostalCode: "10110", Category: "7922", Network: "COM.EXAMPLE.WWW",
		PAN: "936009990000000001", AccountID: "BOXOFFICE000001", NationalID: "ID1020000000001", Size: "UMI",
	}
}

func TestChecksum(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, sum string }{
		{"", "FFFF"},
		{"123456789", "29B1"}, // the catalogue's check value of CRC-16/CCITT-FALSE
		{"A", "B915"},
	} {
		t.Run(c.text, func(t *testing.T) {
			t.Parallel()
			if got := qris.Checksum(c.text); got != c.sum {
				t.Errorf("checksum of %q is %s, want %s", c.text, got, c.sum)
			}
		})
	}
}

// published is the example of EMVCo's specification for merchant-presented codes; it has values that are not ASCII.
const published = "00020101021229300012D156000000000510A93FO3230Q31280012D15600000001030812345678520441115802CN" +
	"5914BEST TRANSPORT6007BEIJING64200002ZH0104最佳运输0202北京540523.7253031565502016233030412340603***" +
	"0708A60086670902ME91320016A0112233449988770708123456786304A13A"

func TestParse(t *testing.T) {
	t.Parallel()

	t.Run("the published example is read", func(t *testing.T) {
		t.Parallel()
		fields, err := qris.Parse(published)
		if err != nil {
			t.Fatal(err)
		}
		language, err := fields.Template("64")
		if err != nil || fields[qris.TagMerchant] != "BEST TRANSPORT" || fields[qris.TagAmount] != "23.72" || language["01"] != "最佳运输" {
			t.Errorf("fields %v, language %v, error %v", fields, language, err)
		}
	})

	for name, code := range map[string]string{
		"nothing":               "",
		"text":                  "hello",
		"a cut field":           "00020101021",
		"a length that is none": "00xx01",
		"a field twice":         "000201000201",
		"no checksum":           "000201",
		"a checksum not last":   "63040000000201",
	} {
		t.Run(name+" is not a code", func(t *testing.T) {
			t.Parallel()
			if _, err := qris.Parse(code); !errors.Is(err, qris.ErrForm) {
				t.Errorf("error %v, want %v", err, qris.ErrForm)
			}
		})
	}

	t.Run("no changed character goes unnoticed", func(t *testing.T) {
		t.Parallel()
		code, err := qris.QRIS(merchant(), 300_000, "PAY-20250205-338aa78d-1")
		if err != nil {
			t.Fatal(err)
		}
		for range 10_000 {
			changed := []byte(code)
			at := rand.IntN(len(changed))
			if changed[at] = byte(' ' + rand.IntN(95)); string(changed) == code {
				continue
			}
			if fields, err := qris.Parse(string(changed)); err == nil {
				t.Fatalf("%s was read as %v", changed, fields)
			}
		}
	})
}

func TestQRIS(t *testing.T) {
	t.Parallel()

	t.Run("a code carries the payment", func(t *testing.T) {
		t.Parallel()
		code, err := qris.QRIS(merchant(), 300_000, "PAY-20250205-338aa78d-1")
		if err != nil {
			t.Fatal(err)
		}
		fields, err := qris.Parse(code)
		if err != nil {
			t.Fatalf("parse %s: %v", code, err)
		}
		if !strings.HasPrefix(code, "000201") || code[len(code)-8:len(code)-4] != "6304" {
			t.Errorf("%s does not begin with 000201 and end with 6304 and a checksum", code)
		}
		want := map[string]string{
			"00": "01", "01": "12", "52": "7922", "53": "360", "54": "300000", "58": "ID", "59": "Boxoffice", "60": "Jakarta", "61": "10110",
		}
		for tag, value := range want {
			if fields[tag] != value {
				t.Errorf("field %s is %q, want %q", tag, fields[tag], value)
			}
		}
		templates := map[string]qris.Fields{
			qris.TagAccount:    {"00": "COM.EXAMPLE.WWW", "01": "936009990000000001", "02": "BOXOFFICE000001", "03": "UMI"},
			qris.TagNational:   {"00": "ID.CO.QRIS.WWW", "02": "ID1020000000001", "03": "UMI"},
			qris.TagAdditional: {qris.TagReference: "PAY-20250205-338aa78d-1"},
		}
		for tag, inner := range templates {
			if got, err := fields.Template(tag); err != nil || !maps.Equal(got, inner) {
				t.Errorf("template %s is %v (%v), want %v", tag, got, err, inner)
			}
		}
	})

	t.Run("every amount and reference makes a code that can be read", func(t *testing.T) {
		t.Parallel()
		for range 2_000 {
			amount, reference := 1+rand.Int64N(qris.MaxAmount), strings.Repeat("R", 1+rand.IntN(60))
			code, err := qris.QRIS(merchant(), amount, reference)
			if err != nil {
				t.Fatal(err)
			}
			fields, err := qris.Parse(code)
			if err != nil || fields[qris.TagAmount] != fmt.Sprint(amount) {
				t.Fatalf("%s: amount %s, want %d (%v)", code, fields[qris.TagAmount], amount, err)
			}
		}
	})

	t.Run("a long reference is shortened and stays its own", func(t *testing.T) {
		t.Parallel()
		one, other := qris.Reference(strings.Repeat("a", 40)+"1"), qris.Reference(strings.Repeat("a", 40)+"2")
		if len(one) != qris.MaxReference || one == other {
			t.Errorf("references %s and %s", one, other)
		}
	})

	for name, c := range map[string]struct {
		change func(*qris.Merchant)
		amount int64
		want   error
	}{
		"an amount of nothing":     {func(*qris.Merchant) {}, 0, qris.ErrAmount},
		"an amount of 14 digits":   {func(*qris.Merchant) {}, qris.MaxAmount + 1, qris.ErrAmount},
		"a negative amount":        {func(*qris.Merchant) {}, -5, qris.ErrAmount},
		"a name of 26 characters":  {func(m *qris.Merchant) { m.Name = strings.Repeat("x", 26) }, 1, qris.ErrMerchant},
		"no city":                  {func(m *qris.Merchant) { m.City = "" }, 1, qris.ErrMerchant},
		"a name that is not ASCII": {func(m *qris.Merchant) { m.Name = "Büro" }, 1, qris.ErrMerchant},
	} {
		t.Run(name+" is refused", func(t *testing.T) {
			t.Parallel()
			m := merchant()
			c.change(&m)
			if _, err := qris.QRIS(m, c.amount, "x"); !errors.Is(err, c.want) {
				t.Errorf("error %v, want %v", err, c.want)
			}
		})
	}
}
