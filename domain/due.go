package domain

// EndDue ends holds that are due on a show: those past their release time, of a canceled show all. What such a
// show has sold goes back by ReturnTickets.
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
	for _, orderID := range show.DueOrders(p.batch.at, most-p.batch.ended) {
		// An order that was not loaded, or not whole, stays due: the next batch loads it.
		order := p.batch.Order(orderID)
		if order == nil || !order.Status.Live() || p.end(order, kind, reason, "", nil) != nil {
			continue
		}
		p.ended++
	}
	return nil
}
