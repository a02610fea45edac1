package commands

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"boxoffice/domain"
	"boxoffice/eventstore"
	"boxoffice/internal/httpapi"
)

const (
	ownerBody = `{"header":{"requestId":"123456","requestDS":"2025-02-03T12:00:00Z","uName":"USER_TESTING"},
		"payload":{"ticketId":1,"eventId":7,"quantity":2,"paymentMethod":"QRIS"}}`
	nativeBody = `{"showId":7,"ticketTypeId":1,"quantity":2,"customer":{"id":"u1","email":"u@example.com","name":"Ü"},"paymentMethod":"QRIS"}`
	linesBody  = `{"showId":7,"lines":[{"ticketTypeId":1,"quantity":2},{"ticketTypeId":3,"quantity":1}],"customer":{"id":"u1"}}`
	someOrder  = "ORDER-20250205-338aa78d"
)

// desk is an intake whose sender, announcements and counts a test sees.
type desk struct {
	*Intake
	secrets   *httpapi.Secrets
	refusals  []Refusal
	counted   []string
	sent      []domain.Command
	origins   []Origin
	announces error
}

func newDesk(t *testing.T, send Sender) *desk {
	t.Helper()
	secrets, err := httpapi.ParseSecrets("0123456789abcdef0123456789abcdef")
	if err != nil {
		t.Fatal(err)
	}
	d := &desk{secrets: secrets}
	d.Intake = NewIntake(IntakeConfig{
		Door: &Door{
			Send: func(ctx context.Context, c domain.Command, o Origin) (Answer, error) {
				d.sent, d.origins = append(d.sent, c), append(d.origins, o)
				return send(ctx, c, o)
			},
			Secrets: secrets, HoldTTL: 15 * time.Minute, Now: func() time.Time { return time.Unix(1, 0) },
			CustomerRef: func(id string) string { return "ref-of-" + id },
		},
		Announce: func(_ context.Context, r Refusal) error {
			d.refusals = append(d.refusals, r)
			return d.announces
		},
		Count: func(command, result string) { d.counted = append(d.counted, command+" "+result) },
	})
	return d
}

func accepting(context.Context, domain.Command, Origin) (Answer, error) { return Answer{}, nil }

// commandMessage is a message as the contract has it. headers are names and values in turn; an empty value takes
// the header away.
func commandMessage(t *testing.T, kind, id, body string, headers ...string) *message.Message {
	t.Helper()
	msg := message.NewMessageWithContext(t.Context(), "", []byte(body))
	msg.Metadata = message.Metadata{"ce_specversion": "1.0", "ce_type": kind, "ce_source": "/shop", "ce_id": id}
	for n := 0; n+1 < len(headers); n += 2 {
		if headers[n+1] == "" {
			delete(msg.Metadata, headers[n])
			continue
		}
		msg.Metadata[headers[n]] = headers[n+1]
	}
	return msg
}

func TestAMessageBecomesACommand(t *testing.T) {
	t.Parallel()
	const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	token := newDesk(t, accepting).secrets.OrderToken(someOrder)
	place := domain.PlaceOrder{
		ShowID: 7, Lines: []domain.HeldLine{{TicketTypeID: 1, Quantity: 2}}, CustomerRef: "ref-of-u1",
		Method: domain.QRIS, TTL: 15 * time.Minute,
	}
	owner, lines := place, place
	owner.CustomerRef, owner.RequestedAt = "ref-of-USER_TESTING", time.Date(2025, 2, 3, 12, 0, 0, 0, time.UTC)
	lines.Lines, lines.Method = []domain.HeldLine{{TicketTypeID: 1, Quantity: 2}, {TicketTypeID: 3, Quantity: 1}}, ""
	for _, c := range []struct {
		name    string
		msg     *message.Message
		command domain.Command
		contact *eventstore.Contact
		trace   string
	}{
		{
			name: "an order in the owner's format", msg: commandMessage(t, "PlaceOrder", "1", ownerBody), command: owner,
			contact: &eventstore.Contact{CustomerRef: "ref-of-USER_TESTING", CustomerID: "USER_TESTING"},
		},
		{
			name: "a native order", msg: commandMessage(t, "PlaceOrder", "1", nativeBody, "traceparent", trace), command: place, trace: trace,
			contact: &eventstore.Contact{CustomerRef: "ref-of-u1", CustomerID: "u1", Email: "u@example.com", Name: "Ü"},
		},
		{
			name: "several lines, and a trace that is none", command: lines,
			msg:     commandMessage(t, "PlaceOrder", "1", linesBody, "traceparent", "00-\x00"),
			contact: &eventstore.Contact{CustomerRef: "ref-of-u1", CustomerID: "u1"},
		},
		{
			name: "a cancellation", msg: commandMessage(t, "CancelOrder", "1", fmt.Sprintf(`{"orderId":%q,"token":%q}`, someOrder, token)),
			command: domain.CancelOrder{OrderID: someOrder},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t, accepting)
			if err := d.Handle(c.msg); err != nil {
				t.Fatal(err)
			}
			if len(d.sent) != 1 || !reflect.DeepEqual(d.sent[0], c.command) {
				t.Fatalf("sent %+v, want %+v", d.sent, c.command)
			}
			o := d.origins[0]
			if o.Actor != "customer" || o.Causation != "/shop 1" || o.Trace != c.trace || !reflect.DeepEqual(o.Contact, c.contact) {
				t.Errorf("origin %+v, contact %+v", o, o.Contact)
			}
			if want := eventstore.NewRequestKey("commands-topic", "ref-of-/shop", "1"); o.Request.Key != want || o.Request.Body == "" {
				t.Errorf("request %+v", o.Request)
			}
			if want := c.msg.Metadata["ce_type"] + " accepted"; len(d.counted) != 1 || d.counted[0] != want || len(d.refusals) != 0 {
				t.Errorf("counted %q, announced %+v", d.counted, d.refusals)
			}
		})
	}
}

func TestAMessageThatCantBeReadIsForTheDeadLetters(t *testing.T) {
	t.Parallel()
	place := func(body string, headers ...string) *message.Message {
		return commandMessage(t, "PlaceOrder", "1", body, headers...)
	}
	cancel := func(body string) *message.Message { return commandMessage(t, "CancelOrder", "1", body) }
	long := strings.Repeat("x", 256)
	for _, c := range []struct {
		name   string
		msg    *message.Message
		reason string
	}{
		{"an unknown type", commandMessage(t, "CreateShow", "1", nativeBody), `ce_type "CreateShow" is not a command of this topic`},
		{"no type", place(nativeBody, "ce_type", ""), "ce_type is missing"},
		{"no version of CloudEvents", place(nativeBody, "ce_specversion", ""), `ce_specversion is "", must be 1.0`},
		{"another version of CloudEvents", place(nativeBody, "ce_specversion", "0.3"), `ce_specversion is "0.3", must be 1.0`},
		{"no id", place(nativeBody, "ce_id", ""), "ce_id is missing"},
		{"no source", place(nativeBody, "ce_source", ""), "ce_source is missing"},
		{"a long id", place(nativeBody, "ce_id", long), "ce_id must not be longer than 255 characters"},
		{"a long source", place(nativeBody, "ce_source", long), "ce_source must not be longer than 255 characters"},
		{"an id with NUL", place(nativeBody, "ce_id", "a\x00"), "ce_id must be text without control characters"},
		{"an id that is no text", place(nativeBody, "ce_id", "\xff"), "ce_id must be text without control characters"},
		{"a source with a space", place(nativeBody, "ce_source", "a b"), "ce_source must not have a space"},
		{"no body", place(""), "JSON"},
		{"not JSON", place("garbage"), "The body is not valid JSON at byte 0."},
		{"no object", place("[]"), "The body must be an object."},
		{"a second value", place(nativeBody + nativeBody), "JSON"},
		{"an unknown field", place(strings.Replace(nativeBody, "{", `{"seat":"A1",`, 1)), "/seat is not known."},
		{"a price", place(strings.Replace(linesBody, `"quantity":2`, `"quantity":2,"unitPrice":1`, 1)), "/lines/0/unitPrice is not known."},
		{"a field twice", place(strings.Replace(nativeBody, "{", `{"showId":8,`, 1)), "/showId is there twice."},
		{"a field of both formats", place(strings.Replace(ownerBody, "{", `{"showId":8,`, 1)), "/showId is not known."},
		{"half of the owner's format", place(`{"payload":{"ticketId":1,"eventId":7,"quantity":2}}`), "/header/requestId is required."},
		{"null for the owner's header", place(`{"header":null}`), "/header must not be null."},
		{"a name in other letters", place(strings.Replace(nativeBody, "showId", "showID", 1)), "/showID is not known."},
		{"every bad value is named", place(`{"showId":0,"ticketTypeId":1,"quantity":0,"customer":{"id":""}}`), "/quantity must be from 1 to 1000000000. "},
		{"a fraction", place(strings.Replace(nativeBody, `"quantity":2`, `"quantity":2.5`, 1)), "/quantity must be a plain integer."},
		{"NUL in a name", place(strings.Replace(nativeBody, "Ü", `\u0000`, 1)), "/customer/name must not have"},
		{"too much", place(`{"x":"` + strings.Repeat("x", 1<<20) + `"}`), "the body has 1048584 bytes, at most 65536"},
		{"a cancellation without a token", cancel(`{"orderId":"` + someOrder + `"}`), "/token is required."},
		{"a cancellation of no order", cancel(`{"orderId":"PAY-20250205-338aa78d-1","token":"x"}`), "/orderId must be an order's id."},
		{"a cancellation by an operator", cancel(`{"orderId":"` + someOrder + `","token":"x","force":true}`), "/force is not known."},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t, accepting)
			err := d.Handle(c.msg)
			if !isPermanent(err) || !strings.Contains(err.Error(), c.reason) && c.name != "every bad value is named" {
				t.Fatalf("got %v, want %q", err, c.reason)
			}
			if len(d.sent) != 0 || len(d.refusals) != 0 || len(d.counted) != 1 || !strings.HasSuffix(d.counted[0], " dead") {
				t.Errorf("sent %+v, announced %+v, counted %q", d.sent, d.refusals, d.counted)
			}
		})
	}
	t.Run("and its reason names every bad field", func(t *testing.T) {
		t.Parallel()
		err := newDesk(t, accepting).Handle(place(`{"showId":0,"ticketTypeId":1,"quantity":0,"customer":{"id":""}}`))
		for _, field := range []string{"/showId ", "/quantity ", "/customer/id "} {
			if err == nil || !strings.Contains(err.Error(), field) {
				t.Errorf("%s is not named: %v", field, err)
			}
		}
	})
	t.Run("and its type is no label", func(t *testing.T) {
		t.Parallel()
		d := newDesk(t, accepting)
		_ = d.Handle(commandMessage(t, "anything", "1", nativeBody))
		if len(d.counted) != 1 || d.counted[0] != "unknown dead" {
			t.Errorf("counted %q", d.counted)
		}
	})
}

func TestWhatBecomesOfACommand(t *testing.T) {
	t.Parallel()
	soldOut := &domain.Rejection{Code: domain.SoldOut, Detail: "Nothing is left."}
	interrupted := fmt.Errorf("wait: %w", context.Canceled)
	for _, c := range []struct {
		name      string
		answers   []error // of one try after another, the last for all that follow
		announces error
		msg       *message.Message
		refusal   *Refusal
		permanent bool
		again     bool // the message has to come again
		tries     int
		counted   string
	}{
		{
			name: "a refusal is announced and done", answers: []error{soldOut}, msg: commandMessage(t, "PlaceOrder", "1", nativeBody),
			refusal: &Refusal{Reference: Reference{"/shop", "1"}, ShowID: 7, Code: domain.SoldOut, Detail: "Nothing is left."},
			tries:   1, counted: "PlaceOrder sold_out",
		},
		{
			name: "a refusal that can't be announced comes again", answers: []error{soldOut}, announces: errors.New("no broker"),
			msg:     commandMessage(t, "PlaceOrder", "1", nativeBody),
			refusal: &Refusal{Reference: Reference{"/shop", "1"}, ShowID: 7, Code: domain.SoldOut, Detail: "Nothing is left."},
			again:   true, tries: 1, counted: "PlaceOrder fault",
		},
		{
			name: "a wrong token is refused without asking", msg: commandMessage(t, "CancelOrder", "1", `{"orderId":"`+someOrder+`","token":"x"}`),
			refusal: &Refusal{Reference: Reference{"/shop", "1"}, OrderID: someOrder, Code: "unauthorized", Detail: "The token is not the order's."},
			counted: "CancelOrder unauthorized",
		},
		{
			name: "an overload comes again", answers: []error{ErrOverloaded}, msg: commandMessage(t, "PlaceOrder", "1", nativeBody),
			again: true, tries: 1, counted: "PlaceOrder fault",
		},
		{
			name: "an outage comes again", answers: []error{fmt.Errorf("append: %w", ErrUnavailable)}, msg: commandMessage(t, "PlaceOrder", "1", nativeBody),
			again: true, tries: 1, counted: "PlaceOrder fault",
		},
		{
			name: "an interruption comes again", answers: []error{interrupted}, msg: commandMessage(t, "PlaceOrder", "1", nativeBody),
			again: true, tries: 1, counted: "PlaceOrder fault",
		},
		{
			name: "a command that failed once is tried again at once", answers: []error{errors.New("its id was taken"), nil},
			msg: commandMessage(t, "PlaceOrder", "1", nativeBody), tries: 2, counted: "PlaceOrder accepted",
		},
		{
			name: "a command that can't be stored is for the dead letters", answers: []error{errUnfit}, msg: commandMessage(t, "PlaceOrder", "1", nativeBody),
			permanent: true, tries: 3, counted: "PlaceOrder dead",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			tries := 0
			d := newDesk(t, func(context.Context, domain.Command, Origin) (Answer, error) {
				tries++
				return Answer{}, c.answers[min(tries, len(c.answers))-1]
			})
			d.announces = c.announces
			err := d.Handle(c.msg)
			if isPermanent(err) != c.permanent || (err != nil) != (c.permanent || c.again) || tries != c.tries {
				t.Errorf("%v after %d tries", err, tries)
			}
			if len(d.counted) != 1 || d.counted[0] != c.counted {
				t.Errorf("counted %q, want %q", d.counted, c.counted)
			}
			if c.refusal == nil {
				if len(d.refusals) != 0 {
					t.Errorf("announced %+v", d.refusals)
				}
				return
			}
			c.refusal.At = time.Unix(1, 0)
			c.refusal.Asked = sha256.Sum256([]byte(c.msg.Metadata["ce_type"] + " " + string(c.msg.Payload)))
			if len(d.refusals) != 1 || d.refusals[0] != *c.refusal {
				t.Errorf("announced %+v, want %+v", d.refusals, *c.refusal)
			}
		})
	}
	t.Run("an interruption during the pause before another try comes again", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		d := newDesk(t, func(context.Context, domain.Command, Origin) (Answer, error) {
			cancel()
			return Answer{}, errUnfit
		})
		msg := commandMessage(t, "PlaceOrder", "1", nativeBody)
		msg.SetContext(ctx)
		if err := d.Handle(msg); !errors.Is(err, context.Canceled) || isPermanent(err) {
			t.Fatal(err)
		}
	})
}

func TestAReferenceComesBackFromTheLog(t *testing.T) {
	t.Parallel()
	for _, r := range []Reference{{"/shop", "1"}, {"https://shop.example/a#b", "an id with spaces "}, {"ü", `"`}} {
		if got, ok := ParseReference(r.String()); !ok || got != r {
			t.Errorf("%+v came back as %+v", r, got)
		}
	}
	for _, id := range []string{"", "payment-PAY-20250205-338aa78d-1:1"} {
		if got, ok := ParseReference(id); ok {
			t.Errorf("%q is %+v", id, got)
		}
	}
}
