package views

import (
	"cmp"
	"slices"
	"time"

	"boxoffice/domain"
)

// ShowStatus is what a buyer needs to know of a show.
type ShowStatus string

// The states of a show as they are shown.
const (
	Upcoming ShowStatus = "upcoming" // no ticket type is sold yet, one will be
	OnSale   ShowStatus = "on_sale"
	Paused   ShowStatus = "paused"
	SoldOut  ShowStatus = "sold_out" // everything sold, nothing merely held
	Ended    ShowStatus = "ended"    // the show has begun, or no ticket type is sold any more
	Canceled ShowStatus = "canceled"
)

// Show is a show with its ticket types. Build it with NewShow.
type Show struct {
	ShowID         int64                  `json:"showId"`
	Name           string                 `json:"name"`
	Venue          string                 `json:"venue"`
	StartsAt       time.Time              `json:"startsAt"` // in the show's time zone
	TimeZone       string                 `json:"timeZone"`
	Currency       string                 `json:"currency"`
	PaymentMethods []domain.PaymentMethod `json:"paymentMethods"`
	Status         ShowStatus             `json:"status"`
	Version        int64                  `json:"version"`
	TicketTypes    []TicketType           `json:"ticketTypes"`
	Refunds        *Refunds               `json:"refunds,omitzero"`  // of a canceled show, for operators
	Position       int64                  `json:"position,omitzero"` // only in answers to commands
}

// TicketType is a ticket type with its rules and what is left of it.
type TicketType struct {
	Stock
	MaxPerOrder    int64     `json:"maxPerOrder"`
	MaxPerCustomer int64     `json:"maxPerCustomer,omitzero"` // left out: no limit
	SalesFrom      time.Time `json:"salesFrom,omitzero"`      // left out: at once
	SalesTo        time.Time `json:"salesTo,omitzero"`        // left out: until the show begins
}

// Refunds counts the orders of a canceled show by what became of their money.
type Refunds struct {
	Due    int64 `json:"due"` // with those that are paid and not ended yet
	Done   int64 `json:"done"`
	Failed int64 `json:"failed"`
}

// Cancellation is what canceling a show would do, or has still to do: the answer to a dry run.
type Cancellation struct {
	DryRun  bool           `json:"dryRun"` // always true: nothing happened
	ShowID  int64          `json:"showId"`
	Version int64          `json:"version"` // of the show that this is about
	AsOf    time.Time      `json:"asOf"`    // of the show's last event
	Orders  CanceledOrders `json:"orders"`
	Tickets CanceledStock  `json:"tickets"`
	Refund  domain.Money   `json:"refund"` // what was paid for the completed orders
}

// CanceledOrders counts the orders that end with their show.
type CanceledOrders struct {
	Open      int64 `json:"open"`      // not paid: they end
	Completed int64 `json:"completed"` // paid: they are refunded
}

// CanceledStock counts the tickets that are taken when a show is canceled, of all types.
type CanceledStock struct {
	Held int64 `json:"held"`
	Sold int64 `json:"sold"`
}

// Stock is what is left of a ticket type: capacity = held + sold + available.
type Stock struct {
	TicketTypeID int64  `json:"ticketTypeId"`
	Name         string `json:"name"`
	Price        int64  `json:"price"` // in the smallest unit of the show's currency
	Capacity     int64  `json:"capacity"`
	Held         int64  `json:"held"`
	Sold         int64  `json:"sold"`
	Available    int64  `json:"available"`
}

// Availability is what is left of all ticket types of a show after one of its events.
type Availability struct {
	ShowID      int64     `json:"showId"`
	Version     int64     `json:"version"`
	AsOf        time.Time `json:"asOf"` // when that event happened; as it was at a time: that time
	TicketTypes []Stock   `json:"ticketTypes"`
}

// ShowFacts is what a show's events say of it, whoever folded them.
type ShowFacts struct {
	ShowID         int64
	Name           string
	Venue          string
	StartsAt       time.Time
	TimeZone       string // IANA name
	Currency       string
	PaymentMethods []domain.PaymentMethod
	Paused         bool
	Canceled       bool
	Version        int64
	TicketTypes    []domain.TicketType
	Totals         []domain.Totals
}

// NewShow shows a show at a time. A time zone that this machine does not know is shown as UTC.
func NewShow(f ShowFacts, now time.Time) Show {
	zone, err := time.LoadLocation(f.TimeZone)
	if err != nil {
		zone = time.UTC
	}
	s := Show{
		ShowID: f.ShowID, Name: f.Name, Venue: f.Venue, StartsAt: f.StartsAt.In(zone), TimeZone: f.TimeZone,
		Currency: f.Currency, PaymentMethods: f.PaymentMethods, Status: f.status(now), Version: f.Version,
		TicketTypes: make([]TicketType, 0, len(f.TicketTypes)),
	}
	if s.PaymentMethods == nil {
		s.PaymentMethods = []domain.PaymentMethod{}
	}
	for _, t := range f.byID() {
		s.TicketTypes = append(s.TicketTypes, TicketType{
			Stock: f.stock(t), MaxPerOrder: t.MaxPerOrder, MaxPerCustomer: t.MaxPerCustomer,
			SalesFrom: in(t.SalesFrom, zone), SalesTo: in(t.SalesTo, zone),
		})
	}
	return s
}

// NewAvailability shows what is left of a show's ticket types.
func NewAvailability(f ShowFacts, asOf time.Time) Availability {
	a := Availability{ShowID: f.ShowID, Version: f.Version, AsOf: asOf.UTC(), TicketTypes: make([]Stock, 0, len(f.TicketTypes))}
	for _, t := range f.byID() {
		a.TicketTypes = append(a.TicketTypes, f.stock(t))
	}
	return a
}

// byID are the ticket types in the order of their ids.
func (f ShowFacts) byID() []domain.TicketType {
	return slices.SortedFunc(slices.Values(f.TicketTypes), func(a, b domain.TicketType) int {
		return cmp.Compare(a.TicketTypeID, b.TicketTypeID)
	})
}

func (f ShowFacts) stock(t domain.TicketType) Stock {
	s := Stock{TicketTypeID: t.TicketTypeID, Name: t.Name, Price: t.Price, Capacity: t.Capacity, Available: t.Capacity}
	for _, n := range f.Totals {
		if n.TicketTypeID == t.TicketTypeID {
			s.Capacity, s.Held, s.Sold, s.Available = n.Capacity, n.Held, n.Sold, n.Available()
		}
	}
	return s
}

// status judges a show by what can still be sold: a ticket type whose sales window is over counts neither
// as stock nor as sold out.
func (f ShowFacts) status(now time.Time) ShowStatus {
	if f.Canceled {
		return Canceled
	}
	open, later, left := false, false, false
	for _, t := range f.TicketTypes {
		if !t.SalesTo.IsZero() && !now.Before(t.SalesTo) {
			continue
		}
		if s := f.stock(t); s.Sold < s.Capacity {
			left = true
		}
		if now.Before(t.SalesFrom) {
			later = true
		} else {
			open = true
		}
	}
	switch {
	case !now.Before(f.StartsAt) || !open && !later:
		return Ended
	case !left:
		return SoldOut
	case f.Paused:
		return Paused
	case !open:
		return Upcoming
	default:
		return OnSale
	}
}

// in moves a time into a zone and leaves the zero time zero.
func in(t time.Time, zone *time.Location) time.Time {
	if t.IsZero() {
		return t
	}
	return t.In(zone)
}
