package domain

// PauseSales stops placements on a show. Pausing a paused show changes nothing.
type PauseSales struct{ ShowID int64 }

// Needs names the show.
func (c PauseSales) Needs() Needs { return Needs{ShowID: c.ShowID} }

func (c PauseSales) phase(*Batch) int { return phaseChange }

func (c PauseSales) decide(p *plan) error {
	show, err := p.changeable(c.ShowID)
	if err != nil {
		return err
	}
	if !show.Paused {
		p.onShow(show, SalesPaused{ShowID: show.ShowID})
	}
	return nil
}

// ResumeSales lets placements go on. Resuming a show that sells changes nothing.
type ResumeSales struct{ ShowID int64 }

// Needs names the show.
func (c ResumeSales) Needs() Needs { return Needs{ShowID: c.ShowID} }

func (c ResumeSales) phase(*Batch) int { return phaseChange }

func (c ResumeSales) decide(p *plan) error {
	show, err := p.changeable(c.ShowID)
	if err != nil {
		return err
	}
	if show.Paused {
		p.onShow(show, SalesResumed{ShowID: show.ShowID})
	}
	return nil
}

// CancelShow stops a show's sales for good. Its orders end in steps after it, of EndDue and ReturnTickets.
// Canceling a canceled show changes nothing.
type CancelShow struct {
	ShowID int64
	Reason string
}

// Needs names the show.
func (c CancelShow) Needs() Needs { return Needs{ShowID: c.ShowID} }

func (c CancelShow) phase(*Batch) int { return phaseChange }

func (c CancelShow) decide(p *plan) error {
	show := p.batch.Show(c.ShowID)
	if show == nil {
		return notFound(WhatShow, c.ShowID)
	}
	p.result.ShowID = c.ShowID
	if err := checkText("/reason", "reason", c.Reason, 0, MaxReason); err != nil {
		return err
	}
	if !show.Canceled {
		p.onShow(show, ShowCanceled{ShowID: show.ShowID, Reason: c.Reason})
	}
	return nil
}
