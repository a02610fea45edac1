package httpapi_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"boxoffice/internal/httpapi"
)

// ownerOrder is the owner's order as the route for it reads it.
type ownerOrder struct {
	Header struct {
		RequestID string    `json:"requestId"`
		RequestDS time.Time `json:"requestDS"`
		UName     string    `json:"uName"`
	} `json:"header"`
	Payload struct {
		TicketID      int64  `json:"ticketId"`
		EventID       int64  `json:"eventId"`
		Quantity      int64  `json:"quantity"`
		PaymentMethod string `json:"paymentMethod"`
	} `json:"payload"`
}

// Check is what the contract asks of an order.
func (o *ownerOrder) Check(c *httpapi.Checks) {
	c.Text("/header/requestId", o.Header.RequestID, 255)
	c.Text("/header/uName", o.Header.UName, 200)
	c.Int("/payload/ticketId", o.Payload.TicketID, 1, 1<<53)
	c.Int("/payload/eventId", o.Payload.EventID, 1, 1<<53)
	c.Int("/payload/quantity", o.Payload.Quantity, 1, 1_000_000)
	c.OptionalText("/payload/paymentMethod", o.Payload.PaymentMethod, 20)
}

const validOrder = `{"header":{"requestId":"123456","requestDS":"2025-02-03T12:00:00Z","uName":"USER_TESTING"},` +
	`"payload":{"ticketId":1,"eventId":1,"quantity":2,"paymentMethod":"QRIS"}}`

func with(old, replacement string) string {
	changed := strings.Replace(validOrder, old, replacement, 1)
	if changed == validOrder {
		panic("the test changes nothing: " + old)
	}
	return changed
}

func quantity(value string) string { return with(`"quantity":2`, `"quantity":`+value) }

var hostileBodies = []struct{ what, body, pointer string }{
	{"nothing", "", ""},
	{"blanks", " \n\t ", ""},
	{"null", "null", ""},
	{"an array", "[]", ""},
	{"an empty object", "{}", "/header/requestId"},
	{"a string", `"text"`, ""},
	{"a number", "1", ""},
	{"an open brace", "{", ""},
	{"a NUL byte", "\x00", ""},
	{"a byte order mark", "\ufeff" + validOrder, ""},
	{"two values", validOrder + validOrder, ""},
	{"two values on two lines", validOrder + "\n" + validOrder, ""},
	{"garbage behind", validOrder + " x", ""},
	{"a brace behind", validOrder + "}", ""},
	{"cut off", validOrder[:len(validOrder)-1], ""},
	{"a comment", "/* */" + validOrder, ""},
	{"a comma too many", quantity("2,"), "/payload"},
	{"single quotes", strings.ReplaceAll(validOrder, `"`, `'`), ""},
	{"a name without quotes", with(`"quantity"`, `quantity`), "/payload"},
	{"a form", "quantity=1", ""},

	{"quantity -1", quantity("-1"), "/payload/quantity"},
	{"quantity 0", quantity("0"), "/payload/quantity"},
	{"quantity -0", quantity("-0"), "/payload/quantity"},
	{"quantity 1.5", quantity("1.5"), "/payload/quantity"},
	{"quantity 1.0", quantity("1.0"), "/payload/quantity"},
	{"quantity 1e3", quantity("1e3"), "/payload/quantity"},
	{"quantity 1E0", quantity("1E0"), "/payload/quantity"},
	{"quantity -0.0", quantity("-0.0"), "/payload/quantity"},
	{"quantity as a string", quantity(`"1"`), "/payload/quantity"},
	{"quantity 2^31", quantity("2147483648"), "/payload/quantity"},
	{"quantity 2^63", quantity("9223372036854775808"), "/payload/quantity"},
	{"quantity 2^64 + 1", quantity("18446744073709551617"), "/payload/quantity"},
	{"quantity -2^63", quantity("-9223372036854775808"), "/payload/quantity"},
	{"quantity with 400 digits", quantity(strings.Repeat("9", 400)), "/payload/quantity"},
	{"quantity null", quantity("null"), "/payload/quantity"},
	{"quantity true", quantity("true"), "/payload/quantity"},
	{"quantity an array", quantity("[]"), "/payload/quantity"},
	{"quantity an object", quantity("{}"), "/payload/quantity"},
	{"quantity 01", quantity("01"), "/payload"},
	{"quantity +1", quantity("+1"), "/payload/quantity"},
	{"quantity 0x1", quantity("0x1"), "/payload"},
	{"quantity NaN", quantity("NaN"), "/payload/quantity"},
	{"quantity Infinity", quantity("Infinity"), "/payload/quantity"},
	{"quantity left out", with(`"quantity":2,`, ""), "/payload/quantity"},

	{"header null", `{"header":null,"payload":{"ticketId":1,"eventId":1,"quantity":2}}`, "/header"},
	{"header left out", `{"payload":{"ticketId":1,"eventId":1,"quantity":2}}`, "/header/requestId"},
	{"header an array", `{"header":[],"payload":{"ticketId":1,"eventId":1,"quantity":2}}`, "/header"},
	{"payload null", `{"header":{"requestId":"1","uName":"u"},"payload":null}`, "/payload"},
	{"uName null", with(`"USER_TESTING"`, `null`), "/header/uName"},
	{"uName empty", with(`"USER_TESTING"`, `""`), "/header/uName"},
	{"uName a number", with(`"USER_TESTING"`, `7`), "/header/uName"},
	{"uName with an escaped NUL", with(`USER_TESTING`, `USER\u0000`), "/header/uName"},
	{"uName with a raw NUL", with(`USER_TESTING`, "USER\x00"), "/header/uName"},
	{"uName with a raw line end", with(`USER_TESTING`, "USER\n"), "/header/uName"},
	{"uName with an escaped line end", with(`USER_TESTING`, `USER\n`), "/header/uName"},
	{"uName of bad UTF-8", with(`USER_TESTING`, "USER\xff\xfe"), "/header/uName"},
	{"uName with half a surrogate pair", with(`USER_TESTING`, `USER\ud800`), "/header/uName"},
	{"uName too long", with(`USER_TESTING`, strings.Repeat("x", 201)), "/header/uName"},
	{"uName with a bad escape", with(`USER_TESTING`, `\x41`), "/header/uName"},
	{"requestDS not a time", with(`2025-02-03T12:00:00Z`, `yesterday`), "/header/requestDS"},
	{"requestDS null", with(`"2025-02-03T12:00:00Z"`, `null`), "/header/requestDS"},
	{"requestDS a number", with(`"2025-02-03T12:00:00Z"`, `1738584000`), "/header/requestDS"},

	{"a member twice", quantity(`2,"quantity":2`), "/payload/quantity"},
	{"a member twice, once with an escape", quantity(`2,"quant\u0069ty":2`), "/payload/quantity"},
	{"a member in another case", with(`"quantity"`, `"Quantity"`), "/payload/Quantity"},
	{"a member in two cases", quantity(`2,"QUANTITY":2`), "/payload/QUANTITY"},
	{"a Kelvin sign for a k", with(`"ticketId"`, "\"tic\u212AetId\""), "/payload/tic\u212AetId"},
	{"an unknown member", quantity(`2,"surprise":1`), "/payload/surprise"},
	{"an unknown member on top", with(`"payload"`, `"surprise":1,"payload"`), "/surprise"},
	{"__proto__", with(`"payload"`, `"__proto__":{},"payload"`), "/__proto__"},
	{"a price of one's own", quantity(`2,"price":1`), "/payload/price"},
	{"a NUL in a member's name", quantity(`2,"a\u0000":1`), "/payload/a\x00"},

	{"33 levels", quantity(strings.Repeat("[", 31) + strings.Repeat("]", 31)), ""},
	{"100,000 levels", quantity(strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000)), ""},
	{"100,000 levels never closed", strings.Repeat(`{"a":`, 100_000), ""},
}

func TestHostileBodiesAreRefused(t *testing.T) {
	t.Parallel()
	for _, given := range hostileBodies {
		t.Run(given.what, func(t *testing.T) {
			t.Parallel()
			var order ownerOrder
			err := httpapi.DecodeBytes([]byte(given.body), &order)
			problem, ok := errors.AsType[*httpapi.Problem](err)
			if !ok {
				t.Fatalf("got %v, want a problem", err)
			}
			if problem.Status != 400 || problem.Code != "invalid" || len(problem.Errors) == 0 || problem.Errors[0].Pointer != given.pointer {
				t.Errorf("got %+v, want 400 invalid at %q", problem, given.pointer)
			}
			for _, word := range []string{"Go ", "json:", "int64", "struct", "httpapi"} {
				if strings.Contains(problem.Detail, word) {
					t.Errorf("%q tells of our insides: %q", problem.Detail, word)
				}
			}
		})
	}
}

func TestGoodBodiesAreTaken(t *testing.T) {
	t.Parallel()
	for what, body := range map[string]string{
		"the owner's sample":      validOrder,
		"blanks around":           " \n" + validOrder + "\r\n\t ",
		"members in another turn": `{"payload":{"quantity":2,"eventId":1,"ticketId":1},"header":{"uName":"u","requestId":"r"}}`,
		"an escape in a name":     with(`"quantity"`, `"quantit\u0079"`),
		"the word null in a text": with(`USER_TESTING`, `null -0 \\u0000 {[`),
		"other scripts":           with(`USER_TESTING`, `Jürgen 東京 🎟 \ud83c\udf9f`),
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			var order ownerOrder
			if err := httpapi.DecodeBytes([]byte(body), &order); err != nil {
				t.Fatal(err)
			}
			if order.Payload.Quantity != 2 {
				t.Errorf("got quantity %d, want 2", order.Payload.Quantity)
			}
		})
	}
}

func TestAllBadFieldsAreNamedAtOnce(t *testing.T) {
	t.Parallel()
	var order ownerOrder
	problem, _ := errors.AsType[*httpapi.Problem](httpapi.DecodeBytes([]byte(`{"header":{"requestId":"r"},"payload":{"ticketId":1}}`), &order))
	var pointers []string
	for _, e := range problem.Errors {
		pointers = append(pointers, e.Pointer)
	}
	if got, want := strings.Join(pointers, " "), "/header/uName /payload/eventId /payload/quantity"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestAWebhookMaySayMore(t *testing.T) {
	t.Parallel()
	body := with(`"payload"`, `"surprise":[null,-0,1.5,{"a":{"b":null}}],"payload"`)
	var order ownerOrder
	if err := httpapi.DecodeBytes([]byte(body), &order, httpapi.AllowUnknown); err != nil {
		t.Errorf("unknown members: %v", err)
	}
	for what, body := range map[string]string{
		"null for a known member": quantity("null"),
		"-0 for a known member":   quantity("-0"),
		"a member twice":          quantity(`2,"quantity":2`),
		"a second value":          validOrder + "1",
	} {
		if err := httpapi.DecodeBytes([]byte(body), &order, httpapi.AllowUnknown); err == nil {
			t.Errorf("%s was taken", what)
		}
	}
}

func TestAnOptionalTellsLeftOutFromNull(t *testing.T) {
	t.Parallel()
	type change struct {
		Name    *string                     `json:"name"`
		Limit   httpapi.Optional[int64]     `json:"limit"`
		SalesTo httpapi.Optional[time.Time] `json:"salesTo"`
	}
	var got change
	if err := httpapi.DecodeBytes([]byte(`{"limit":null}`), &got); err != nil {
		t.Fatal(err)
	}
	if got.Name != nil || !got.Limit.Sent || !got.Limit.Null || got.SalesTo.Sent {
		t.Errorf("got %+v, want a limit that is null and nothing else", got)
	}
	got = change{}
	if err := httpapi.DecodeBytes([]byte(`{"limit":7,"salesTo":"2027-01-02T20:00:00+07:00"}`), &got); err != nil {
		t.Fatal(err)
	}
	if got.Limit.Value != 7 || got.Limit.Null || got.SalesTo.Value.UTC().Hour() != 13 {
		t.Errorf("got %+v, want 7 and 13:00 UTC", got)
	}
	for _, body := range []string{`{"name":null}`, `{"limit":-0}`, `{"limit":"7"}`, `{"limit":1.5}`, `{"salesTo":"soon"}`} {
		if err := httpapi.DecodeBytes([]byte(body), &change{}); err == nil {
			t.Errorf("%s was taken", body)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, given := range hostileBodies {
		if len(given.body) < 1000 {
			f.Add([]byte(given.body))
		}
	}
	f.Add([]byte(validOrder))
	f.Fuzz(func(t *testing.T, body []byte) {
		var order ownerOrder
		err := httpapi.DecodeBytes(body, &order)
		if problem, ok := errors.AsType[*httpapi.Problem](err); err != nil && (!ok || problem.Status != 400) {
			t.Fatalf("got %v, want a 400", err)
		}
		if err == nil && (order.Payload.Quantity < 1 || order.Header.UName == "" || strings.ContainsRune(order.Header.UName, 0)) {
			t.Fatalf("took %q as %+v", body, order)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequest(http.MethodPost, "/orders/ticket", strings.NewReader(validOrder))
		var order ownerOrder
		if err := httpapi.Decode(r, &order); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeBytes(b *testing.B) {
	b.ReportAllocs()
	body := []byte(validOrder)
	for b.Loop() {
		var order ownerOrder
		if err := httpapi.DecodeBytes(body, &order); err != nil {
			b.Fatal(err)
		}
	}
}
