package verify

import (
	"hash/maphash"
	"slices"
	"strconv"
	"time"
)

// orderCells are the columns of a row of order_status beside its key and version.
type orderCells struct {
	Status         cell `db:"status"`
	Reason         cell `db:"reason"`
	ShowID         cell `db:"show_id"`
	Lines          cell `db:"lines"`
	Total          cell `db:"total"`
	Currency       cell `db:"currency"`
	PlacedAt       cell `db:"placed_at"`
	ExpiresAt      cell `db:"expires_at"`
	CustomerRef    cell `db:"customer_ref"`
	PlacedPosition cell `db:"placed_position"`
	Payment        cell `db:"payment"`
	RefundStatus   cell `db:"refund_status"`
	RefundAmount   cell `db:"refund_amount"`
	Refunds        cell `db:"refunds"`
	Tickets        cell `db:"tickets"`
	Position       cell `db:"position"`
}

// sum is the sum of all cells. What the fold keeps as digests goes into it as digests.
func (c *orderCells) sum(seed maphash.Seed) digest {
	return c.sumWith(seed, c.factsSum(seed), sumOf(seed, c.Payment), sumOf(seed, c.Tickets))
}

func (c *orderCells) factsSum(seed maphash.Seed) digest {
	return sumOf(seed, c.Lines, c.PlacedAt, c.ExpiresAt, c.CustomerRef)
}

func (c *orderCells) sumWith(seed maphash.Seed, facts, payment, tickets digest) digest {
	return sumOf(seed, c.Status, c.Reason, c.ShowID, c.Total, c.Currency, c.PlacedPosition, c.RefundStatus, c.RefundAmount,
		c.Refunds, c.Position, facts.cell(), payment.cell(), tickets.cell())
}

func (d digest) cell() cell { return cell(strconv.FormatUint(uint64(d), 16)) }

// orderSum is the sum of the row that the log makes of an order.
func (f *fold) orderSum(place uint32, o *order) digest {
	c := f.orderCells(place, o)
	return c.sumWith(f.seed, o.facts, o.payment, o.tickets)
}

// orderCells are the cells that the fold keeps of every order; of the others it has digests.
func (f *fold) orderCells(place uint32, o *order) orderCells {
	refunds := f.orderRefunds[place]
	status, amount := refundTotal(refunds)
	return orderCells{
		Status: cell(o.status.String()), Reason: cell(reasons()[o.reason]), ShowID: number(o.show),
		Total: number(o.total), Currency: cell(f.currencies[o.currency]), PlacedPosition: number(o.placed),
		RefundStatus: cell(status), RefundAmount: number(amount), Refunds: refundsCell(refunds), Position: number(o.position),
	}
}

// showFacts keeps what OrderPlaced alone says.
func (f *fold) showFacts(o *order, ev *orderEvent) {
	c := orderCells{
		Lines: linesCell(ev.Lines), PlacedAt: instant(ev.PlacedAt), ExpiresAt: instant(ev.ExpiresAt), CustomerRef: cell(ev.CustomerRef),
	}
	o.facts = c.factsSum(f.seed)
	if f.kept != nil {
		f.kept.Lines, f.kept.PlacedAt, f.kept.ExpiresAt, f.kept.CustomerRef = c.Lines, c.PlacedAt, c.ExpiresAt, c.CustomerRef
	}
}

// keepPayment keeps the payment that an order shows.
func (f *fold) keepPayment(o *order, p paymentSummary) {
	shown := p.cell()
	o.payment = sumOf(f.seed, shown)
	if f.kept != nil {
		f.kept.Payment = shown
	}
}

// showTickets keeps the tickets that an order shows.
func (f *fold) showTickets(o *order, tickets []ticket) {
	shown := ticketsCell(tickets)
	o.tickets = sumOf(f.seed, shown)
	if f.kept != nil {
		f.kept.Tickets = shown
	}
}

func linesCell(lines []line) cell {
	return list(lines, func(b []byte, l *line) []byte {
		b = strconv.AppendInt(b, l.Quantity, 10)
		b = strconv.AppendInt(append(b, " of type "...), l.TicketTypeID, 10)
		return strconv.AppendInt(append(b, " at "...), l.UnitPrice, 10)
	})
}

func ticketsCell(tickets []ticket) cell {
	return list(tickets, func(b []byte, t *ticket) []byte {
		b = quoted(b, t.TicketID)
		return strconv.AppendInt(append(b, " of type "...), t.TicketTypeID, 10)
	})
}

func refundsCell(parts []refundPart) cell {
	return list(parts, func(b []byte, p *refundPart) []byte {
		b = quoted(b, p.RefundID)
		b = strconv.AppendInt(append(b, " of "...), p.Amount, 10)
		return quoted(append(b, ' '), p.Status)
	})
}

// cell tells a payment; what it has not is left out.
func (p paymentSummary) cell() cell {
	b := make([]byte, 0, 256)
	b = quoted(b, p.PaymentID)
	b = strconv.AppendInt(append(b, " attempt "...), int64(p.Attempt), 10)
	b = quoted(append(b, " status "...), p.Status)
	b = quoted(append(b, " method "...), p.Method)
	if p.QR != "" {
		b = quoted(append(b, " qr "...), p.QR)
	}
	if p.URL != "" {
		b = quoted(append(b, " url "...), p.URL)
	}
	if !p.ExpiresAt.IsZero() {
		b = p.ExpiresAt.UTC().AppendFormat(append(b, " expires "...), time.RFC3339Nano)
	}
	return cell(b)
}

// refundTotal sums up an order's refunds as its row shows them: one that was given up before one that is due, and
// that before those that are done.
func refundTotal(parts []refundPart) (status string, amount int64) {
	rank := func(status string) int { return slices.Index([]string{"DONE", "DUE", "FAILED"}, status) }
	for _, p := range parts {
		amount += p.Amount
		if rank(p.Status) > rank(status) {
			status = p.Status
		}
	}
	return status, amount
}
