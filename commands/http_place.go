package commands

import (
	"net/http"
	"strconv"
	"time"

	"boxoffice/domain"
	"boxoffice/eventstore"
	"boxoffice/internal/httpapi"
	"boxoffice/internal/views"
)

// Limits of what a placement may carry.
const (
	maxCustomerID = 255 // characters
	maxRequestID  = 255
	maxEmail      = 254
	maxName       = 200
	maxMethod     = 32
	maxID         = 1<<53 - 1 // largest id that every JSON reader keeps exact
)

// ownerOrder is an order in the owner's format.
type ownerOrder struct {
	Header struct {
		RequestID string    `json:"requestId"`
		RequestDS time.Time `json:"requestDS"`
		UName     string    `json:"uName"`
	} `json:"header"`
	Payload ownerPayload `json:"payload"`
}

type ownerPayload struct {
	TicketID      int64                `json:"ticketId"`
	EventID       int64                `json:"eventId"`
	Quantity      int64                `json:"quantity"`
	PaymentMethod domain.PaymentMethod `json:"paymentMethod"`
}

// Check reports what is missing or out of bounds.
func (o *ownerOrder) Check(c *httpapi.Checks) {
	c.Text("/header/requestId", o.Header.RequestID, maxRequestID)
	c.Present("/header/requestDS", !o.Header.RequestDS.IsZero())
	c.Text("/header/uName", o.Header.UName, maxCustomerID)
	c.Int("/payload/ticketId", o.Payload.TicketID, 1, maxID)
	c.Int("/payload/eventId", o.Payload.EventID, 1, maxID)
	c.Int("/payload/quantity", o.Payload.Quantity, 1, domain.MaxQuantity)
	c.OptionalText("/payload/paymentMethod", string(o.Payload.PaymentMethod), maxMethod)
}

// command is what is asked for, of the customer with this customerRef.
func (o *ownerOrder) command(ref string, ttl time.Duration) domain.PlaceOrder {
	return domain.PlaceOrder{
		ShowID: o.Payload.EventID, CustomerRef: ref, Method: o.Payload.PaymentMethod, TTL: ttl,
		Lines:       []domain.HeldLine{{TicketTypeID: o.Payload.TicketID, Quantity: o.Payload.Quantity}},
		RequestedAt: o.Header.RequestDS,
	}
}

func (o *ownerOrder) contact(ref string) *eventstore.Contact {
	return &eventstore.Contact{CustomerRef: ref, CustomerID: o.Header.UName}
}

// ownerPlaced is the payload of the owner's answer.
type ownerPlaced struct {
	OrderID string `json:"orderId"`
}

func (d *Door) placeOwner(w http.ResponseWriter, r *http.Request) error {
	var body ownerOrder
	if err := httpapi.Decode(r, &body); err != nil {
		return err
	}
	key := httpapi.IdempotencyKey(r)
	if key == "" {
		key = body.Header.RequestID
	}
	o := origin(r)
	var err error
	if o.Request, err = d.requestOf("POST /orders/ticket", o.Actor+"\x00"+body.Header.UName, key, body.Payload); err != nil {
		return err
	}
	ref := d.CustomerRef(body.Header.UName)
	o.Contact = body.contact(ref)
	answer, err := d.send(r.Context(), body.command(ref, d.HoldTTL), o)
	if err != nil {
		return err
	}
	markReplayed(w, answer)
	if !answer.Replayed || len(key) >= guessableKey {
		w.Header().Set(orderTokenHeader, d.Secrets.OrderToken(answer.Result.OrderID))
	}
	return httpapi.OwnerOK(w, ownerPlaced{OrderID: answer.Result.OrderID})
}

// nativeOrder is an order in our own format: one ticket type flat, or several lines.
type nativeOrder struct {
	ShowID        int64                `json:"showId"`
	TicketTypeID  *int64               `json:"ticketTypeId"`
	Quantity      *int64               `json:"quantity"`
	Lines         []nativeLine         `json:"lines"`
	Customer      views.Customer       `json:"customer"`
	PaymentMethod domain.PaymentMethod `json:"paymentMethod"`
}

// nativeLine is a number of tickets of one type. Unlike a domain.HeldLine it has no price that one could send.
type nativeLine struct {
	TicketTypeID int64 `json:"ticketTypeId"`
	Quantity     int64 `json:"quantity"`
}

// Check reports what is missing or out of bounds, and what is said twice.
func (o *nativeOrder) Check(c *httpapi.Checks) {
	c.Int("/showId", o.ShowID, 1, maxID)
	c.Text("/customer/id", o.Customer.ID, maxCustomerID)
	c.OptionalText("/customer/email", o.Customer.Email, maxEmail)
	c.OptionalText("/customer/name", o.Customer.Name, maxName)
	c.OptionalText("/paymentMethod", string(o.PaymentMethod), maxMethod)
	if o.Lines == nil {
		if c.Present("/ticketTypeId", o.TicketTypeID != nil) {
			c.Int("/ticketTypeId", *o.TicketTypeID, 1, maxID)
		}
		if c.Present("/quantity", o.Quantity != nil) {
			c.Int("/quantity", *o.Quantity, 1, domain.MaxQuantity)
		}
		return
	}
	if o.TicketTypeID != nil || o.Quantity != nil {
		c.Fail("/lines", "must not stand beside ticketTypeId and quantity")
	}
	c.Int("/lines", int64(len(o.Lines)), 1, domain.MaxLines)
	for i, line := range o.Lines[:min(len(o.Lines), domain.MaxLines)] {
		at := "/lines/" + strconv.Itoa(i)
		c.Int(at+"/ticketTypeId", line.TicketTypeID, 1, maxID)
		c.Int(at+"/quantity", line.Quantity, 1, domain.MaxQuantity)
	}
}

// lines are what is ordered, whichever way it was said.
func (o *nativeOrder) lines() []domain.HeldLine {
	if o.Lines == nil {
		return []domain.HeldLine{{TicketTypeID: *o.TicketTypeID, Quantity: *o.Quantity}}
	}
	lines := make([]domain.HeldLine, len(o.Lines))
	for i, line := range o.Lines {
		lines[i] = domain.HeldLine{TicketTypeID: line.TicketTypeID, Quantity: line.Quantity}
	}
	return lines
}

// command is what is asked for, of the customer with this customerRef.
func (o *nativeOrder) command(ref string, ttl time.Duration) domain.PlaceOrder {
	return domain.PlaceOrder{ShowID: o.ShowID, Lines: o.lines(), CustomerRef: ref, Method: o.PaymentMethod, TTL: ttl}
}

func (o *nativeOrder) contact(ref string) *eventstore.Contact {
	return &eventstore.Contact{CustomerRef: ref, CustomerID: o.Customer.ID, Email: o.Customer.Email, Name: o.Customer.Name}
}

func (d *Door) placeNative(w http.ResponseWriter, r *http.Request) error {
	var body nativeOrder
	if err := httpapi.Decode(r, &body); err != nil {
		return err
	}
	o := origin(r)
	key := httpapi.IdempotencyKey(r)
	var err error
	if o.Request, err = d.requestOf("POST /orders", body.Customer.ID, key, body); err != nil {
		return err
	}
	ref := d.CustomerRef(body.Customer.ID)
	o.Contact = body.contact(ref)
	answer, err := d.send(r.Context(), body.command(ref, d.HoldTTL), o)
	if err != nil {
		return err
	}
	markReplayed(w, answer)
	view := d.orderView(answer, &body.Customer)
	if !answer.Replayed || len(key) >= guessableKey {
		view.Token = d.Secrets.OrderToken(view.OrderID)
	}
	w.Header().Set("Location", "/orders/"+view.OrderID)
	return httpapi.JSON(w, http.StatusCreated, view)
}
