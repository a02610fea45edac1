package domain

// EndDue ends what is due on a show: holds past their release time, and orders of a canceled show.
type EndDue struct{ ShowID int64 }

// Needs names the show. The orders of its DueOrders must be loaded too.
func (c EndDue) Needs() Needs { return Needs{ShowID: c.ShowID} }

func (c EndDue) phase(*Batch) int { return phaseExpire }

// decide ends what is due on a show, as much of it as the batch has room for.
func (c EndDue) decide(p *plan) error {
	p.result.ShowID = c.ShowID
	show := p.batch.Show(c.ShowID)
	if show == nil {
		return nil
	}
	kind, reason, most := movedExpired, ReasonHoldExpired, MaxDuePerBatch
	if show.Canceled {
		kind, reason, most = movedReleased, ReasonShowCanceled, MaxCanceledPerBatch
	}
	room := most - p.batch.ended
	for _, orderID := range show.DueOrders(p.batch.at, room) {
		// An order that was not loaded, or not whole, stays due: the next batch loads it.
		order := p.batch.Order(orderID)
		if order == nil || !order.Status.Live() || p.end(order, kind, reason, "", nil) != nil {
			continue
		}
		p.ended++
	}
	if show.Canceled {
		p.endSold(show, room-p.ended)
	}
	return nil
}

// endSold is the place where the completed orders of a canceled show are given back, room of them at a
// time. Selling to a canceled show is impossible already; until a show can be canceled from outside there
// are none.
func (p *plan) endSold(*Show, int) {}
