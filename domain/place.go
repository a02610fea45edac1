package domain

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// Limits of an order beside those of its show.
const (
	// MaxTicketsPerOrder keeps OrderCompleted, which names every ticket, below MaxEventBytes.
	MaxTicketsPerOrder = 5000
	// MaxTTL is the longest a hold may be asked for.
	MaxTTL = 30 * 24 * time.Hour
	// maxGrace is how long after its expiry a hold may still be settled, at most.
	maxGrace = 60 * time.Second
	// graceShare of the TTL is the grace of a short hold.
	graceShare = 5
)

// ErrOrderID is returned for an order id that has not the form of one or is taken. The caller draws another.
var ErrOrderID = errors.New("order id is malformed or taken")

// PlaceOrder asks for tickets of one show; all lines or none.
type PlaceOrder struct {
	OrderID     string // drawn by the caller for each try; used up only if the order is accepted
	ShowID      int64
	Lines       []HeldLine // their prices are the show's, whatever stands here
	CustomerRef string
	Method      PaymentMethod // empty: the show's first
	RequestedAt time.Time     // requestDS of the owner's format, or zero
	TTL         time.Duration // how long the tickets are held
}

// Needs names the show.
func (c PlaceOrder) Needs() Needs { return Needs{ShowID: c.ShowID} }

func (c PlaceOrder) phase(*Batch) int { return phasePlace }

func (c PlaceOrder) decide(p *plan) error {
	if orderID, ok := OrderOf(c.OrderID); !ok || orderID != c.OrderID || p.batch.Order(c.OrderID) != nil {
		return fmt.Errorf("place %q: %w", c.OrderID, ErrOrderID)
	}
	if c.TTL <= 0 || c.TTL > MaxTTL {
		return fmt.Errorf("place %s: a hold cannot last %s", c.OrderID, c.TTL)
	}
	if !storableText(c.CustomerRef) {
		return fmt.Errorf("place %s: the customer ref can't be stored", c.OrderID)
	}
	show := p.batch.Show(c.ShowID)
	if show == nil {
		return notFound(WhatShow, c.ShowID)
	}
	if err := checkLines(show, c.Lines); err != nil {
		return err
	}
	method, err := chooseMethod(show, c.Method)
	if err != nil {
		return err
	}
	if err := p.checkSales(show, c.Lines); err != nil {
		return err
	}
	if err := p.checkLimits(show, c); err != nil {
		return err
	}
	if err := p.checkStock(show, c.Lines); err != nil {
		return err
	}
	lines, total, err := priced(show, c.Lines)
	if err != nil {
		return err
	}
	p.hold(show, c, lines, total, method)
	return nil
}

// hold writes the events of an accepted order.
func (p *plan) hold(show *Show, c PlaceOrder, lines []Line, total Money, method PaymentMethod) {
	at := p.batch.at
	grace := min(maxGrace, c.TTL/graceShare)
	expiresAt := at.Add(c.TTL)
	releaseAt := expiresAt.Add(grace)
	payment := PaymentRequested{
		PaymentStep: PaymentStep{PaymentID: PaymentID(c.OrderID, 1), OrderID: c.OrderID, ShowID: show.ShowID, Status: Requested},
		Attempt:     1, Method: method, Amount: total, ExpiresAt: expiresAt.Add(-grace),
	}
	placed := OrderPlaced{
		OrderStep:   OrderStep{OrderID: c.OrderID, ShowID: show.ShowID, Status: Pending},
		CustomerRef: c.CustomerRef, Lines: lines, Total: total, HoldID: HoldID(c.OrderID, 1),
		PlacedAt: at, ExpiresAt: expiresAt, ReleaseAt: releaseAt, RequestedAt: storable(c.RequestedAt),
		Payment: PaymentSummary{
			PaymentID: payment.PaymentID, Attempt: 1, Status: Requested, Method: method, ExpiresAt: payment.ExpiresAt,
		},
	}
	p.moves = append(p.moves, move{show.ShowID, movedHeld, Member{
		OrderID: c.OrderID, HoldID: placed.HoldID, CommandID: p.commandID, CustomerRef: c.CustomerRef,
		Lines: heldLines(movedHeld, lines), ExpiresAt: expiresAt, ReleaseAt: releaseAt,
	}})
	p.facts = append(p.facts, fact{StreamOrder, c.OrderID, placed}, fact{StreamPayment, payment.PaymentID, payment})
	p.placed = c.OrderID
	p.result = Result{OrderID: c.OrderID, PaymentID: payment.PaymentID, ShowID: show.ShowID}
}

// lineField points to a part of a line in the native body, which has flat fields for an order of one line.
func lineField(lines []HeldLine, i int, name string) string {
	if len(lines) == 1 {
		return "/" + name
	}
	return "/lines/" + strconv.Itoa(i) + "/" + name
}

// checkLines judges the lines by themselves.
func checkLines(show *Show, lines []HeldLine) error {
	if len(lines) == 0 || len(lines) > MaxLines {
		return invalid("/lines", "An order has between 1 and %d lines.", MaxLines)
	}
	for i, line := range lines {
		if _, _, ok := show.TicketType(line.TicketTypeID); !ok {
			return notFound(WhatTicketType, line.TicketTypeID)
		}
		if line.Quantity < 1 || line.Quantity > MaxQuantity {
			return invalid(lineField(lines, i, "quantity"), "The quantity must be between 1 and %d.", MaxQuantity)
		}
		for _, earlier := range lines[:i] {
			if earlier.TicketTypeID == line.TicketTypeID {
				return invalid(lineField(lines, i, "ticketTypeId"), "Ticket type %d stands in two lines.", line.TicketTypeID)
			}
		}
	}
	return nil
}

// chooseMethod is the method asked for, if the show offers it, or the show's first.
func chooseMethod(show *Show, asked PaymentMethod) (PaymentMethod, error) {
	if asked == "" && len(show.PaymentMethods) > 0 {
		return show.PaymentMethods[0], nil
	}
	if !slices.Contains(show.PaymentMethods, asked) {
		return "", invalid("/paymentMethod", "The show takes no payment by %q.", string(asked))
	}
	return asked, nil
}

// checkSales judges whether the show sells these ticket types now. Windows are half open: [from, to).
func (p *plan) checkSales(show *Show, lines []HeldLine) error {
	at := p.batch.at
	if show.Canceled {
		return reject(ShowIsCanceled, "The show is canceled.")
	}
	if show.Paused {
		return reject(SalesArePaused, "Sales of the show are paused.")
	}
	if !at.Before(show.StartsAt) {
		return reject(SalesClosed, "The show has begun; sales are over.")
	}
	for _, line := range lines {
		switch t, _, _ := show.TicketType(line.TicketTypeID); {
		case at.Before(t.SalesFrom):
			return reject(SalesClosed, "Sales of ticket type %d begin at %s.", t.TicketTypeID, t.SalesFrom.Format(time.RFC3339))
		case !t.SalesTo.IsZero() && !at.Before(t.SalesTo):
			return reject(SalesClosed, "Sales of ticket type %d ended at %s.", t.TicketTypeID, t.SalesTo.Format(time.RFC3339))
		}
	}
	return nil
}

// checkLimits judges the limits per order and per customer.
func (p *plan) checkLimits(show *Show, c PlaceOrder) error {
	var tickets int64
	for _, line := range c.Lines {
		t, _, _ := show.TicketType(line.TicketTypeID)
		if line.Quantity > t.MaxPerOrder {
			return reject(LimitReached, "At most %d tickets of type %d in one order.", t.MaxPerOrder, t.TicketTypeID)
		}
		if tickets += line.Quantity; tickets > MaxTicketsPerOrder {
			return reject(LimitReached, "At most %d tickets in one order.", MaxTicketsPerOrder)
		}
		taken := show.Taken(c.CustomerRef, line.TicketTypeID)
		if t.MaxPerCustomer > 0 && line.Quantity > t.MaxPerCustomer-taken {
			if p.mayFree(show) {
				return ErrWait
			}
			return reject(LimitReached, "At most %d tickets of type %d for one customer, who has %d.",
				t.MaxPerCustomer, t.TicketTypeID, taken)
		}
	}
	return nil
}

// checkStock judges whether there are tickets for all lines.
func (p *plan) checkStock(show *Show, lines []HeldLine) error {
	for _, line := range lines {
		_, total, _ := show.TicketType(line.TicketTypeID)
		if line.Quantity <= total.Available() {
			continue
		}
		if p.mayFree(show) {
			return ErrWait
		}
		r := reject(SoldOut, "Of ticket type %d %d are left and %d are held.", line.TicketTypeID, total.Available(), total.Held)
		r.Available, r.Held = total.Available(), total.Held
		return r
	}
	return nil
}

// mayFree reports whether holds of the show are due that this batch had no room to end. It asks for
// progress in this batch, so that nobody waits for a hold whose order can't be ended.
func (p *plan) mayFree(show *Show) bool {
	_, freed := p.batch.freed[show.ShowID]
	full := p.batch.ended >= MaxDuePerBatch
	return (freed || full) && len(show.DueOrders(p.batch.at, 1)) > 0
}

// priced are the lines at the prices of the moment, and their sum.
func priced(show *Show, held []HeldLine) ([]Line, Money, error) {
	total := Money{Currency: show.Currency}
	lines := make([]Line, len(held))
	for i, line := range held {
		t, _, _ := show.TicketType(line.TicketTypeID)
		lines[i] = Line{line.TicketTypeID, line.Quantity, t.Price}
		sum, err := Money{t.Price, show.Currency}.Times(line.Quantity)
		if err == nil {
			total, err = total.Plus(sum)
		}
		if err != nil {
			return nil, Money{}, invalid(lineField(held, i, "quantity"), "The price of so many tickets is too large.")
		}
	}
	return lines, total, nil
}

// storable is a time as the log keeps it: UTC, and zero where RFC 3339 has no form for it.
func storable(t time.Time) time.Time {
	t = t.Round(0).UTC()
	if y := t.Year(); y < 1 || y > 9999 {
		return time.Time{}
	}
	return t
}
