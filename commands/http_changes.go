package commands

import (
	"net/http"
	"time"

	"boxoffice/domain"
	"boxoffice/internal/httpapi"
)

// showChange is the body of PATCH /shows/{id}. What is left out stays as it is.
type showChange struct {
	Name     *string    `json:"name"`
	Venue    *string    `json:"venue"`
	StartsAt *time.Time `json:"startsAt"`
}

// Check reports what is out of bounds, and a change that changes nothing.
func (b *showChange) Check(c *httpapi.Checks) {
	if b.Name == nil && b.Venue == nil && b.StartsAt == nil {
		c.Fail("", "must have one of name, venue and startsAt at least")
	}
	if b.Name != nil {
		c.Text("/name", *b.Name, maxName)
	}
	if b.Venue != nil {
		c.Text("/venue", *b.Venue, maxName)
	}
	if b.StartsAt != nil {
		c.Present("/startsAt", !b.StartsAt.IsZero())
	}
}

func (d *Door) changeShow(w http.ResponseWriter, r *http.Request) error {
	showID, err := httpapi.PathID(r, "id", string(domain.WhatShow))
	if err != nil {
		return err
	}
	var body showChange
	if err := httpapi.Decode(r, &body); err != nil {
		return err
	}
	command := domain.ChangeShow{ShowID: showID, Name: body.Name, Venue: body.Venue, StartsAt: utc(body.StartsAt)}
	return d.answerShow(w, r, command, origin(r))
}

// ticketTypeChange is the body of PATCH /shows/{id}/ticket-types/{ticketTypeId}. What is left out stays as it is;
// null takes a limit or an end of the sales window away.
type ticketTypeChange struct {
	Name           *string                     `json:"name"`
	Price          *int64                      `json:"price"`
	Capacity       *int64                      `json:"capacity"`
	MaxPerOrder    *int64                      `json:"maxPerOrder"`
	MaxPerCustomer httpapi.Optional[int64]     `json:"maxPerCustomer"`
	SalesFrom      httpapi.Optional[time.Time] `json:"salesFrom"`
	SalesTo        httpapi.Optional[time.Time] `json:"salesTo"`
}

// Check reports what is out of bounds, and a change that changes nothing.
func (b *ticketTypeChange) Check(c *httpapi.Checks) {
	none := b.Name == nil && b.Price == nil && b.Capacity == nil && b.MaxPerOrder == nil
	if none && !b.MaxPerCustomer.Sent && !b.SalesFrom.Sent && !b.SalesTo.Sent {
		c.Fail("", "must have something to change")
	}
	if b.Name != nil {
		c.Text("/name", *b.Name, maxName)
	}
	if b.Price != nil {
		c.Int("/price", *b.Price, 1, domain.MaxPrice)
	}
	if b.Capacity != nil {
		c.Int("/capacity", *b.Capacity, 0, domain.MaxCapacity)
	}
	if b.MaxPerOrder != nil {
		c.Int("/maxPerOrder", *b.MaxPerOrder, 1, domain.MaxQuantity)
	}
	if b.MaxPerCustomer.Sent && !b.MaxPerCustomer.Null {
		c.Int("/maxPerCustomer", b.MaxPerCustomer.Value, 1, domain.MaxQuantity)
	}
}

func (d *Door) changeTicketType(w http.ResponseWriter, r *http.Request) error {
	showID, err := httpapi.PathID(r, "id", string(domain.WhatShow))
	if err != nil {
		return err
	}
	ticketTypeID, err := httpapi.PathID(r, "ticketTypeId", string(domain.WhatTicketType))
	if err != nil {
		return err
	}
	var body ticketTypeChange
	if err := httpapi.Decode(r, &body); err != nil {
		return err
	}
	command := domain.ChangeTicketType{
		ShowID: showID, TicketTypeID: ticketTypeID, Name: body.Name, Price: body.Price, Capacity: body.Capacity,
		MaxPerOrder: body.MaxPerOrder, MaxPerCustomer: sent(body.MaxPerCustomer),
		SalesFrom: utc(sent(body.SalesFrom)), SalesTo: utc(sent(body.SalesTo)),
	}
	return d.answerShow(w, r, command, origin(r))
}

// sent is nil for a member that was left out, and the zero value for one that was null.
func sent[T any](o httpapi.Optional[T]) *T {
	if !o.Sent {
		return nil
	}
	return &o.Value
}

func utc(t *time.Time) *time.Time {
	if t == nil || t.IsZero() {
		return t
	}
	u := t.UTC()
	return &u
}
