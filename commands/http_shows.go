package commands

import (
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"strconv"
	"time"

	"boxoffice/domain"
	"boxoffice/internal/httpapi"
)

// Show ids that we draw have nine digits; a drawn one that exists is drawn again.
const (
	firstDrawnShow = 100_000_000
	drawnShows     = 900_000_000
	showDraws      = 5
)

// newShow is the body of POST /shows.
type newShow struct {
	ShowID         *int64                 `json:"showId"`
	Name           string                 `json:"name"`
	Venue          string                 `json:"venue"`
	StartsAt       time.Time              `json:"startsAt"`
	TimeZone       string                 `json:"timeZone"`
	Currency       string                 `json:"currency"`
	PaymentMethods []domain.PaymentMethod `json:"paymentMethods"`
	TicketTypes    []newTicketType        `json:"ticketTypes"`
}

// newTicketType is a ticket type in POST /shows, and the body of POST /shows/{id}/ticket-types.
type newTicketType struct {
	TicketTypeID   int64      `json:"ticketTypeId"`
	Name           string     `json:"name"`
	Price          int64      `json:"price"`
	Capacity       *int64     `json:"capacity"`
	MaxPerOrder    *int64     `json:"maxPerOrder"`
	MaxPerCustomer *int64     `json:"maxPerCustomer"`
	SalesFrom      *time.Time `json:"salesFrom"`
	SalesTo        *time.Time `json:"salesTo"`
}

// Check reports what is missing or out of bounds; the rules of domain judge the rest.
func (b *newShow) Check(c *httpapi.Checks) {
	if b.ShowID != nil {
		c.Int("/showId", *b.ShowID, 1, maxID)
	}
	c.Text("/name", b.Name, maxName)
	c.Text("/venue", b.Venue, maxName)
	c.Present("/startsAt", !b.StartsAt.IsZero())
	if c.Present("/timeZone", b.TimeZone != "") {
		if _, err := time.LoadLocation(b.TimeZone); err != nil || b.TimeZone == "Local" {
			c.Fail("/timeZone", "must be the IANA name of a time zone, such as Asia/Jakarta")
		}
	}
	c.Present("/currency", b.Currency != "")
	if c.Present("/ticketTypes", len(b.TicketTypes) > 0) {
		for i := range b.TicketTypes[:min(len(b.TicketTypes), domain.MaxTicketTypes)] {
			b.TicketTypes[i].check(c, "/ticketTypes/"+strconv.Itoa(i))
		}
	}
}

// Check reports what is missing or out of bounds.
func (t *newTicketType) Check(c *httpapi.Checks) { t.check(c, "") }

func (t *newTicketType) check(c *httpapi.Checks, at string) {
	c.Int(at+"/ticketTypeId", t.TicketTypeID, 1, maxID)
	c.Text(at+"/name", t.Name, maxName)
	c.Int(at+"/price", t.Price, 1, domain.MaxPrice)
	if c.Present(at+"/capacity", t.Capacity != nil) {
		c.Int(at+"/capacity", *t.Capacity, 0, domain.MaxCapacity)
	}
	if t.MaxPerOrder != nil {
		c.Int(at+"/maxPerOrder", *t.MaxPerOrder, 1, domain.MaxQuantity)
	}
	if t.MaxPerCustomer != nil {
		c.Int(at+"/maxPerCustomer", *t.MaxPerCustomer, 1, domain.MaxQuantity)
	}
}

func (t *newTicketType) ticketType() domain.TicketType {
	return domain.TicketType{
		TicketTypeID: t.TicketTypeID, Name: t.Name, Price: t.Price, Capacity: orZero(t.Capacity),
		MaxPerOrder: orZero(t.MaxPerOrder), MaxPerCustomer: orZero(t.MaxPerCustomer),
		SalesFrom: orZero(t.SalesFrom).UTC(), SalesTo: orZero(t.SalesTo).UTC(),
	}
}

func orZero[T any](v *T) T {
	if v == nil {
		var zero T
		return zero
	}
	return *v
}

func (d *Door) createShow(w http.ResponseWriter, r *http.Request) error {
	var body newShow
	if err := httpapi.Decode(r, &body); err != nil {
		return err
	}
	o := origin(r)
	var err error
	if o.Request, err = d.requestOf("POST /shows", o.Actor, httpapi.IdempotencyKey(r), body); err != nil {
		return err
	}
	command := domain.CreateShow{
		Name: body.Name, Venue: body.Venue, StartsAt: body.StartsAt.UTC(), TimeZone: body.TimeZone,
		Currency: body.Currency, PaymentMethods: body.PaymentMethods,
	}
	for i := range body.TicketTypes {
		command.TicketTypes = append(command.TicketTypes, body.TicketTypes[i].ticketType())
	}
	answer, err := d.create(r, command, body.ShowID, o)
	if err != nil {
		return err
	}
	markReplayed(w, answer)
	w.Header().Set("Location", "/shows/"+strconv.FormatInt(answer.Result.ShowID, 10))
	return httpapi.JSON(w, http.StatusCreated, d.showView(answer))
}

// create sends the command with the show id that was given, or with one that is drawn until it is free.
func (d *Door) create(r *http.Request, command domain.CreateShow, given *int64, o Origin) (Answer, error) {
	if given != nil {
		command.ShowID = *given
		return d.send(r.Context(), command, o)
	}
	for try := 1; ; try++ {
		n, err := rand.Int(rand.Reader, big.NewInt(drawnShows))
		if err != nil {
			return Answer{}, fmt.Errorf("draw a show id: %w", err)
		}
		command.ShowID = firstDrawnShow + n.Int64()
		answer, err := d.send(r.Context(), command, o)
		if rejection, ok := errors.AsType[*domain.Rejection](err); ok && rejection.Code == domain.Exists && try < showDraws {
			continue
		}
		return answer, err
	}
}

func (d *Door) addTicketType(w http.ResponseWriter, r *http.Request) error {
	showID, err := httpapi.PathID(r, "id", string(domain.WhatShow))
	if err != nil {
		return err
	}
	var body newTicketType
	if err := httpapi.Decode(r, &body); err != nil {
		return err
	}
	o := origin(r)
	caller := o.Actor + "\x00" + strconv.FormatInt(showID, 10)
	if o.Request, err = d.requestOf("POST /shows/{id}/ticket-types", caller, httpapi.IdempotencyKey(r), body); err != nil {
		return err
	}
	return d.answerShow(w, r, domain.AddTicketType{ShowID: showID, TicketType: body.ticketType()}, o)
}

// answerShow sends a command on a show and answers with the show as it left it.
func (d *Door) answerShow(w http.ResponseWriter, r *http.Request, c domain.Command, o Origin) error {
	answer, err := d.send(r.Context(), c, o)
	if err != nil {
		return err
	}
	markReplayed(w, answer)
	return httpapi.JSON(w, http.StatusOK, d.showView(answer))
}

func (d *Door) pause(w http.ResponseWriter, r *http.Request) error {
	showID, err := httpapi.PathID(r, "id", string(domain.WhatShow))
	if err != nil {
		return err
	}
	return d.answerShow(w, r, domain.PauseSales{ShowID: showID}, origin(r))
}

func (d *Door) resume(w http.ResponseWriter, r *http.Request) error {
	showID, err := httpapi.PathID(r, "id", string(domain.WhatShow))
	if err != nil {
		return err
	}
	return d.answerShow(w, r, domain.ResumeSales{ShowID: showID}, origin(r))
}
