package domain

import "fmt"

// ReturnTickets gives completed orders of a canceled show back: their tickets are void and their money goes
// back. The state of a show does not know its completed orders, so the caller names those that the show's
// events tell of, at most MaxCanceledPerBatch. One that is not completed (any more) is passed over, so naming
// an order twice, now or later, gives it back once.
type ReturnTickets struct {
	ShowID   int64
	OrderIDs []string
}

// Needs names the show and the orders.
func (c ReturnTickets) Needs() Needs { return Needs{ShowID: c.ShowID, Orders: c.OrderIDs} }

func (c ReturnTickets) phase(*Batch) int { return phaseRelease }

func (c ReturnTickets) decide(p *plan) error {
	if len(c.OrderIDs) > MaxCanceledPerBatch {
		return fmt.Errorf("return tickets of show %d: %d orders, more than %d", c.ShowID, len(c.OrderIDs), MaxCanceledPerBatch)
	}
	p.result.ShowID = c.ShowID
	show := p.batch.Show(c.ShowID)
	if show == nil || !show.Canceled {
		return nil
	}
	named := make(map[string]struct{}, len(c.OrderIDs))
	for _, orderID := range c.OrderIDs {
		if _, twice := named[orderID]; twice {
			continue
		}
		named[orderID] = struct{}{}
		order := p.batch.Order(orderID)
		if order == nil || order.ShowID != c.ShowID || order.Status != Completed {
			continue
		}
		if err := p.giveBack(order, ReasonShowCanceled, ShowCancel, ""); err != nil {
			return err
		}
	}
	return nil
}
