package domain

import (
	"slices"
	"strconv"
	"time"
)

// CreateShow puts a show on the books. ShowID 0 is not allowed: the caller draws one where the client gave none.
type CreateShow struct {
	ShowID         int64
	Name           string
	Venue          string
	StartsAt       time.Time
	TimeZone       string
	Currency       string
	PaymentMethods []PaymentMethod // empty: all that fit the currency
	TicketTypes    []TicketType
}

// Needs names the show, which may exist already.
func (c CreateShow) Needs() Needs { return Needs{ShowID: c.ShowID} }

func (c CreateShow) phase(*Batch) int { return phaseChange }

func (c CreateShow) decide(p *plan) error {
	if p.batch.Show(c.ShowID) != nil {
		return reject(Exists, "Show %d exists.", c.ShowID)
	}
	methods, err := checkShow(c)
	if err != nil {
		return err
	}
	types := make([]TicketType, len(c.TicketTypes))
	for i, t := range c.TicketTypes {
		types[i] = normal(t)
		if err := checkTicketType(types[i], typeField(i)); err != nil {
			return err
		}
		for _, earlier := range types[:i] {
			if earlier.TicketTypeID == t.TicketTypeID {
				return invalid(typeField(i)+"/ticketTypeId", "Ticket type %d is there twice.", t.TicketTypeID)
			}
		}
	}
	p.result.ShowID = c.ShowID
	p.onShow(&Show{ShowID: c.ShowID}, ShowCreated{
		ShowID: c.ShowID, Name: c.Name, Venue: c.Venue, StartsAt: storable(c.StartsAt), TimeZone: c.TimeZone,
		Currency: c.Currency, PaymentMethods: methods, TicketTypes: types,
	})
	return nil
}

// changeable is a show that may be changed: it exists and is not canceled.
func (p *plan) changeable(showID int64) (*Show, error) {
	show := p.batch.Show(showID)
	if show == nil {
		return nil, notFound(WhatShow, showID)
	}
	p.result.ShowID = showID
	if show.Canceled {
		return nil, reject(ShowIsCanceled, "The show is canceled.")
	}
	return show, nil
}

// ChangeShow changes a show's description; nil leaves a part as it is.
type ChangeShow struct {
	ShowID   int64
	Name     *string
	Venue    *string
	StartsAt *time.Time
}

// Needs names the show.
func (c ChangeShow) Needs() Needs { return Needs{ShowID: c.ShowID} }

func (c ChangeShow) phase(*Batch) int { return phaseChange }

func (c ChangeShow) decide(p *plan) error {
	show, err := p.changeable(c.ShowID)
	if err != nil {
		return err
	}
	changed := ShowChanged{ShowID: show.ShowID, Name: show.Name, Venue: show.Venue, StartsAt: show.StartsAt}
	set(&changed.Name, c.Name)
	set(&changed.Venue, c.Venue)
	if c.StartsAt != nil {
		changed.StartsAt = storable(*c.StartsAt)
	}
	if err := checkDescription(changed.Name, changed.Venue, changed.StartsAt); err != nil {
		return err
	}
	if changed.Name != show.Name || changed.Venue != show.Venue || !changed.StartsAt.Equal(show.StartsAt) {
		p.onShow(show, changed)
	}
	return nil
}

// AddTicketType adds a ticket type to a show.
type AddTicketType struct {
	ShowID     int64
	TicketType TicketType
}

// Needs names the show.
func (c AddTicketType) Needs() Needs { return Needs{ShowID: c.ShowID} }

func (c AddTicketType) phase(*Batch) int { return phaseChange }

func (c AddTicketType) decide(p *plan) error {
	show, err := p.changeable(c.ShowID)
	if err != nil {
		return err
	}
	added := normal(c.TicketType)
	if err := checkTicketType(added, ""); err != nil {
		return err
	}
	if _, _, ok := show.TicketType(added.TicketTypeID); ok {
		return reject(Exists, "Ticket type %d exists.", added.TicketTypeID)
	}
	if len(show.TicketTypes) >= MaxTicketTypes {
		return reject(LimitReached, "A show has at most %d ticket types.", MaxTicketTypes)
	}
	p.onShow(show, TicketTypeAdded{ShowID: show.ShowID, TicketType: added})
	return nil
}

// ChangeTicketType changes a ticket type; nil leaves a part as it is, a zero time or limit removes it.
type ChangeTicketType struct {
	ShowID         int64
	TicketTypeID   int64
	Name           *string
	Price          *int64
	Capacity       *int64
	MaxPerOrder    *int64
	MaxPerCustomer *int64
	SalesFrom      *time.Time
	SalesTo        *time.Time
}

// Needs names the show.
func (c ChangeTicketType) Needs() Needs { return Needs{ShowID: c.ShowID} }

func (c ChangeTicketType) phase(*Batch) int { return phaseChange }

func (c ChangeTicketType) decide(p *plan) error {
	show, err := p.changeable(c.ShowID)
	if err != nil {
		return err
	}
	old, total, ok := show.TicketType(c.TicketTypeID)
	if !ok {
		return notFound(WhatTicketType, c.TicketTypeID)
	}
	changed := old
	set(&changed.Name, c.Name)
	set(&changed.Price, c.Price)
	set(&changed.Capacity, c.Capacity)
	set(&changed.MaxPerOrder, c.MaxPerOrder)
	set(&changed.MaxPerCustomer, c.MaxPerCustomer)
	set(&changed.SalesFrom, c.SalesFrom)
	set(&changed.SalesTo, c.SalesTo)
	changed = normal(changed)
	if err := checkTicketType(changed, ""); err != nil {
		return err
	}
	if changed.Capacity < total.Held+total.Sold {
		return reject(CapacityInUse, "Of ticket type %d %d are held and %d are sold.", c.TicketTypeID, total.Held, total.Sold)
	}
	if changed != normal(old) {
		p.onShow(show, TicketTypeChanged{ShowID: show.ShowID, TicketType: changed})
	}
	return nil
}

// set overwrites a part that a command names.
func set[T any](part *T, asked *T) {
	if asked != nil {
		*part = *asked
	}
}

// normal is a ticket type as it is stored: with the default limit per order, and times in UTC.
func normal(t TicketType) TicketType {
	if t.MaxPerOrder == 0 {
		t.MaxPerOrder = DefaultMaxPerOrder
	}
	t.SalesFrom, t.SalesTo = inUTC(t.SalesFrom), inUTC(t.SalesTo)
	return t
}

func inUTC(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.Round(0).UTC()
}

// methodsFor are all payment methods that fit a currency.
func methodsFor(currency string) []PaymentMethod {
	if currency == qrisCurrency {
		return []PaymentMethod{QRIS, Card}
	}
	return []PaymentMethod{Card}
}

// checkMethods judges what a show offers; nothing means all that fit.
func checkMethods(currency string, asked []PaymentMethod) ([]PaymentMethod, error) {
	fitting := methodsFor(currency)
	if len(asked) == 0 {
		return fitting, nil
	}
	for i, m := range asked {
		field := "/paymentMethods/" + strconv.Itoa(i)
		if !slices.Contains(fitting, m) {
			return nil, invalid(field, "%q is no payment method for %s.", string(m), currency)
		}
		if slices.Contains(asked[:i], m) {
			return nil, invalid(field, "%q is there twice.", string(m))
		}
	}
	return slices.Clone(asked), nil
}
