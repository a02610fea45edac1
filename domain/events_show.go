package domain

import "time"

// TicketType is a priced class of tickets of a show.
type TicketType struct {
	TicketTypeID   int64     `json:"ticketTypeId"`
	Name           string    `json:"name"`
	Price          int64     `json:"price"` // in the smallest unit of the show's currency
	Capacity       int64     `json:"capacity"`
	MaxPerOrder    int64     `json:"maxPerOrder"`
	MaxPerCustomer int64     `json:"maxPerCustomer,omitempty"` // 0: no limit
	SalesFrom      time.Time `json:"salesFrom,omitzero"`       // zero: at once
	SalesTo        time.Time `json:"salesTo,omitzero"`         // zero: until the show starts
}

// Totals is what is taken of one ticket type after an event.
type Totals struct {
	TicketTypeID int64 `json:"ticketTypeId"`
	Capacity     int64 `json:"capacity"`
	Held         int64 `json:"held"`
	Sold         int64 `json:"sold"`
}

// Available is what is left for sale.
func (t Totals) Available() int64 { return t.Capacity - t.Held - t.Sold }

// HeldLine is a number of tickets of one type. In TicketsSold and TicketsReturned it carries the order's price,
// in the smallest unit of the show's currency, so that a show's stream alone tells what was earned. It is 0
// everywhere else, and in events that were written before there was such a field.
type HeldLine struct {
	TicketTypeID int64 `json:"ticketTypeId"`
	Quantity     int64 `json:"quantity"`
	UnitPrice    int64 `json:"unitPrice,omitempty"`
}

// Member is one order's part in an event that covers many orders.
type Member struct {
	OrderID     string     `json:"orderId"`
	HoldID      string     `json:"holdId"`
	CommandID   string     `json:"commandId"`
	CustomerRef string     `json:"customerRef"`
	Lines       []HeldLine `json:"lines"`
	ExpiresAt   time.Time  `json:"expiresAt,omitzero"` // what the buyer is told; only where a hold begins
	ReleaseAt   time.Time  `json:"releaseAt,omitzero"` // when the hold ends by itself; only where a hold begins
}

// Movement is the body of every event that moves tickets of a show: whose they are, and the totals
// of all ticket types after it. A batch writes one such event per kind and show.
type Movement struct {
	ShowID  int64    `json:"showId"`
	Members []Member `json:"members"`
	Totals  []Totals `json:"totals"`
}

// ShowCreated puts a show on the books.
type ShowCreated struct {
	ShowID         int64           `json:"showId"`
	Name           string          `json:"name"`
	Venue          string          `json:"venue"`
	StartsAt       time.Time       `json:"startsAt"`
	TimeZone       string          `json:"timeZone"` // IANA name
	Currency       string          `json:"currency"` // ISO 4217
	PaymentMethods []PaymentMethod `json:"paymentMethods"`
	TicketTypes    []TicketType    `json:"ticketTypes"`
	Totals         []Totals        `json:"totals"`
}

// ShowChanged carries a show's description after a change.
type ShowChanged struct {
	ShowID   int64     `json:"showId"`
	Name     string    `json:"name"`
	Venue    string    `json:"venue"`
	StartsAt time.Time `json:"startsAt"`
	Totals   []Totals  `json:"totals"`
}

// TicketTypeAdded adds a ticket type to a show.
type TicketTypeAdded struct {
	ShowID     int64      `json:"showId"`
	TicketType TicketType `json:"ticketType"`
	Totals     []Totals   `json:"totals"`
}

// TicketTypeChanged carries a ticket type after a change.
type TicketTypeChanged struct {
	ShowID     int64      `json:"showId"`
	TicketType TicketType `json:"ticketType"`
	Totals     []Totals   `json:"totals"`
}

// SalesPaused stops placements until SalesResumed.
type SalesPaused struct {
	ShowID int64    `json:"showId"`
	Totals []Totals `json:"totals"`
}

// SalesResumed ends a pause.
type SalesResumed struct {
	ShowID int64    `json:"showId"`
	Totals []Totals `json:"totals"`
}

// ShowCanceled stops sales for good; its orders end in steps after it.
type ShowCanceled struct {
	ShowID int64    `json:"showId"`
	Reason string   `json:"reason,omitempty"`
	Totals []Totals `json:"totals"`
}

// TicketsHeld takes tickets out of sale for unpaid orders.
type TicketsHeld struct{ Movement }

// HoldsReleased gives held tickets back because their orders ended.
type HoldsReleased struct{ Movement }

// HoldsExpired gives held tickets back because nobody paid in time.
type HoldsExpired struct{ Movement }

// HoldReacquired takes tickets again for an order that ended and was paid late.
type HoldReacquired struct{ Movement }

// TicketsSold turns held tickets into sold ones.
type TicketsSold struct{ Movement }

// TicketsReturned puts sold tickets on sale again because their orders were canceled.
type TicketsReturned struct{ Movement }

// EventType names the event in the log.
func (ShowCreated) EventType() string { return "ShowCreated" }

// EventType names the event in the log.
func (ShowChanged) EventType() string { return "ShowChanged" }

// EventType names the event in the log.
func (TicketTypeAdded) EventType() string { return "TicketTypeAdded" }

// EventType names the event in the log.
func (TicketTypeChanged) EventType() string { return "TicketTypeChanged" }

// EventType names the event in the log.
func (SalesPaused) EventType() string { return "SalesPaused" }

// EventType names the event in the log.
func (SalesResumed) EventType() string { return "SalesResumed" }

// EventType names the event in the log.
func (ShowCanceled) EventType() string { return "ShowCanceled" }

// EventType names the event in the log.
func (TicketsHeld) EventType() string { return "TicketsHeld" }

// EventType names the event in the log.
func (HoldsReleased) EventType() string { return "HoldsReleased" }

// EventType names the event in the log.
func (HoldsExpired) EventType() string { return "HoldsExpired" }

// EventType names the event in the log.
func (HoldReacquired) EventType() string { return "HoldReacquired" }

// EventType names the event in the log.
func (TicketsSold) EventType() string { return "TicketsSold" }

// EventType names the event in the log.
func (TicketsReturned) EventType() string { return "TicketsReturned" }
