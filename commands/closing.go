package commands

import (
	"context"
	"errors"

	"boxoffice/domain"
	"boxoffice/eventstore"
)

// One step of a closing.
const (
	closingPages    = 2  // pages of the show's events that it reads at most; a longer stream takes several steps
	closingCommands = 4  // commands that it sends at most
	closingOrders   = 50 // orders of one command, so that nobody who buys waits long behind it
)

// closing finds the completed orders of a canceled show in the show's own events and gives them back, in the
// order in which they were sold. It reads every event once: those that were sold are kept until the events tell
// that they were returned, whoever did it. It may be dropped at any time and begins at the first event then;
// the rules pass over an order that is no longer completed.
type closing struct {
	showID  int64
	version int64               // of the last event that was read
	sold    []string            // orders, by the time they were sold; those before are done
	left    map[string]struct{} // of these: not returned yet
	size    int                 // orders of the next command, at most
}

func newClosing(showID int64) *closing {
	return &closing{showID: showID, left: map[string]struct{}{}, size: closingOrders}
}

// step gives back the next orders and reports whether there was something to do, be it only to read on.
func (c *closing) step(ctx context.Context, t Timekeeper) (done bool, err error) {
	whole, err := c.read(ctx, t.Store)
	if err != nil || !whole {
		return err == nil, err
	}
	for range closingCommands {
		orders := c.next()
		if len(orders) == 0 {
			break
		}
		if err := c.giveBack(ctx, t, orders); err != nil {
			return done, err
		}
		done = true
	}
	return done, nil
}

// giveBack sends one command. Orders that were given back, by whomever, are let go of; where the command fails
// because one of them can't be read or stored, smaller commands find that one.
func (c *closing) giveBack(ctx context.Context, t Timekeeper, orders []string) error {
	_, err := t.Send(ctx, domain.ReturnTickets{ShowID: c.showID, OrderIDs: orders}, Origin{Actor: ActorSystem})
	switch {
	case err == nil:
		c.forget(orders)
		c.size = closingOrders
	case ctx.Err() != nil, errors.Is(err, ErrUnavailable), errors.Is(err, ErrOverloaded):
	case len(orders) > 1:
		c.size = (len(orders) + 1) / 2
	default:
		t.Log.Error("a paid order of a canceled show can't be given back", "show", c.showID, "order", orders[0], "error", err)
		c.forget(orders)
	}
	return err
}

// read follows the show's events and reports whether it has come to their end.
func (c *closing) read(ctx context.Context, store *eventstore.Store) (whole bool, err error) {
	for range closingPages {
		events, err := store.ReadStream(ctx, domain.ShowStream(c.showID), c.version, loadPage)
		if err != nil {
			return false, err
		}
		for _, e := range events {
			if err := c.follow(e); err != nil {
				return false, err
			}
		}
		if len(events) < loadPage {
			return true, nil
		}
	}
	return false, nil
}

// follow takes one event in; only what sells or returns tickets is decoded.
func (c *closing) follow(e eventstore.Recorded) error {
	switch e.Type {
	case domain.TicketsSold{}.EventType(), domain.TicketsReturned{}.EventType():
		event, err := decode(e)
		if err != nil {
			return err
		}
		switch event := event.(type) {
		case domain.TicketsSold:
			for i := range event.Members {
				c.sold = append(c.sold, event.Members[i].OrderID)
				c.left[event.Members[i].OrderID] = struct{}{}
			}
		case domain.TicketsReturned:
			for i := range event.Members {
				delete(c.left, event.Members[i].OrderID)
			}
		}
	}
	c.version = e.Version
	return nil
}

// next are the orders of the next command, none when all are done.
func (c *closing) next() []string {
	for len(c.sold) > 0 && !c.isLeft(c.sold[0]) {
		c.sold = c.sold[1:]
	}
	var orders []string
	for _, id := range c.sold {
		if len(orders) == c.size {
			break
		}
		if c.isLeft(id) {
			orders = append(orders, id)
		}
	}
	return orders
}

func (c *closing) isLeft(orderID string) bool {
	_, left := c.left[orderID]
	return left
}

// forget lets go of orders, whatever became of them.
func (c *closing) forget(orders []string) {
	for _, id := range orders {
		delete(c.left, id)
	}
}
