package commands

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/go-json-experiment/json/jsontext"

	"boxoffice/domain"
	"boxoffice/eventstore"
	"boxoffice/internal/httpapi"
)

// Types of the messages of commands-topic.
const (
	typePlaceOrder  = "PlaceOrder"
	typeCancelOrder = "CancelOrder"
	typeUnknown     = "unknown" // of a message that is neither, for metrics
)

// commandsRoute stands for the topic in idempotency keys, where HTTP has its route.
const commandsRoute = "commands-topic"

const (
	cloudEvents   = "1.0"         // version of CloudEvents that is spoken
	traceHeader   = "traceparent" // W3C trace context
	maxReference  = 255           // characters of a ce_source or ce_id
	maxTokenChars = 255
)

// wish is a message of commands-topic that was understood.
type wish struct {
	kind      string
	reference Reference
	command   domain.Command
	origin    Origin
	asked     [sha256.Size]byte // of its type and body
	refused   *domain.Rejection // it need not be sent to know the answer
}

func (w wish) name() string {
	if w.kind == "" {
		return typeUnknown
	}
	return w.kind
}

// read understands a message. The message's key is not asked: what the body says, counts.
func (i *Intake) read(msg *message.Message) (w wish, err error) {
	switch kind := msg.Metadata.Get(eventstore.HeaderType); kind {
	case typePlaceOrder, typeCancelOrder:
		w.kind = kind
	case "":
		return w, errors.New(eventstore.HeaderType + " is missing")
	default:
		return w, fmt.Errorf("%s %.100q is not a command of this topic", eventstore.HeaderType, kind)
	}
	if v := msg.Metadata.Get(eventstore.HeaderSpecVersion); v != cloudEvents {
		return w, fmt.Errorf("%s is %.20q, must be %s", eventstore.HeaderSpecVersion, v, cloudEvents)
	}
	if w.reference, err = referenceOf(msg.Metadata); err != nil {
		return w, err
	}
	if len(msg.Payload) > httpapi.DefaultMaxBody {
		return w, fmt.Errorf("the body has %d bytes, at most %d", len(msg.Payload), httpapi.DefaultMaxBody)
	}
	w.asked = sha256.Sum256(append([]byte(w.kind+" "), msg.Payload...))
	w.origin = Origin{
		Actor: actorCustomer, Causation: w.reference.String(), Trace: traceparent(msg.Metadata.Get(traceHeader)),
	}
	if w.kind == typeCancelOrder {
		err = i.readCancel(msg.Payload, &w)
	} else {
		err = i.readPlace(msg.Payload, &w)
	}
	return w, inWords(err)
}

// shape tells the two formats of an order apart.
type shape struct {
	Header  jsontext.Value `json:"header"`
	Payload jsontext.Value `json:"payload"`
}

func (i *Intake) readPlace(body []byte, w *wish) error {
	var s shape
	if err := httpapi.DecodeBytes(body, &s, httpapi.AllowUnknown); err != nil {
		return err
	}
	if s.Header != nil || s.Payload != nil {
		return i.readOwner(body, w)
	}
	return i.readNative(body, w)
}

func (i *Intake) readOwner(body []byte, w *wish) (err error) {
	var order ownerOrder
	if err := httpapi.DecodeBytes(body, &order); err != nil {
		return err
	}
	ref := i.Door.CustomerRef(order.Header.UName)
	w.command, w.origin.Contact = order.command(ref, i.Door.HoldTTL), order.contact(ref)
	w.origin.Request, err = i.request(w, order.Header.UName, order.Payload)
	return err
}

func (i *Intake) readNative(body []byte, w *wish) (err error) {
	var order nativeOrder
	if err := httpapi.DecodeBytes(body, &order); err != nil {
		return err
	}
	ref := i.Door.CustomerRef(order.Customer.ID)
	w.command, w.origin.Contact = order.command(ref, i.Door.HoldTTL), order.contact(ref)
	w.origin.Request, err = i.request(w, order.Customer.ID, order)
	return err
}

// cancelMessage asks for the end of an order.
type cancelMessage struct {
	OrderID string `json:"orderId"`
	Token   string `json:"token"`
}

// Check reports what is missing or out of bounds.
func (m *cancelMessage) Check(c *httpapi.Checks) {
	if c.Present("/orderId", m.OrderID != "") {
		if _, ok := domain.OrderOf(m.OrderID); !ok || !strings.HasPrefix(m.OrderID, "ORDER-") {
			c.Fail("/orderId", "must be an order's id")
		}
	}
	c.Text("/token", m.Token, maxTokenChars)
}

func (i *Intake) readCancel(body []byte, w *wish) (err error) {
	var m cancelMessage
	if err := httpapi.DecodeBytes(body, &m); err != nil {
		return err
	}
	w.command = domain.CancelOrder{OrderID: m.OrderID}
	if !i.Door.Secrets.CheckOrderToken(m.OrderID, m.Token) {
		w.refused = unauthorized()
		return nil
	}
	w.origin.Request, err = i.request(w, "", m.OrderID)
	return err
}

// request is the identity of a message: its source is the caller, its id the key. Asked is what must be the same
// in a repeat, beside its type and customer.
func (i *Intake) request(w *wish, customer string, asked any) (Request, error) {
	return i.Door.requestOf(commandsRoute, w.reference.Source, w.reference.ID, []any{w.kind, customer, asked})
}

// referenceOf reads which message of which sender it is.
func referenceOf(headers message.Metadata) (Reference, error) {
	r := Reference{Source: headers.Get(eventstore.HeaderSource), ID: headers.Get(eventstore.HeaderID)}
	for _, h := range []struct{ name, value string }{{eventstore.HeaderSource, r.Source}, {eventstore.HeaderID, r.ID}} {
		switch {
		case h.value == "":
			return Reference{}, errors.New(h.name + " is missing")
		case !utf8.ValidString(h.value), strings.ContainsFunc(h.value, unicode.IsControl):
			return Reference{}, errors.New(h.name + " must be text without control characters")
		case utf8.RuneCountInString(h.value) > maxReference:
			return Reference{}, fmt.Errorf("%s must not be longer than %d characters", h.name, maxReference)
		}
	}
	if strings.Contains(r.Source, referenceGap) {
		return Reference{}, errors.New(eventstore.HeaderSource + " must not have a space")
	}
	return r, nil
}

// inWords names every bad field, not the first one only as a Problem's text does.
func inWords(err error) error {
	problem, ok := errors.AsType[*httpapi.Problem](err)
	if !ok || len(problem.Errors) == 0 {
		return err
	}
	words := make([]string, len(problem.Errors))
	for n, field := range problem.Errors {
		words[n] = field.String()
	}
	return errors.New(strings.Join(words, " "))
}
