package notifications

import (
	"context"
	"errors"
	"fmt"
	"net/mail"
	"strings"
	"time"

	"boxoffice/domain"
	"boxoffice/eventstore"
)

// Letter is what a buyer is told.
type Letter struct {
	To         mail.Address
	Subject    string
	Text, HTML string // the same twice
}

// LetterConfig is what letters need.
type LetterConfig struct {
	Store      *eventstore.Store            // the log, for reading
	Shows      *Shows                       // what the log says of shows
	TicketCode func(ticketID string) string // derives a ticket's code
	Now        func() time.Time             // the log's clock
}

// Letters writes letters. What they say is read from the log at that moment, so nobody is asked to pay for an
// order that has ended.
type Letters struct{ LetterConfig }

// NewLetters makes a writer of letters. It does no I/O.
func NewLetters(cfg LetterConfig) *Letters { return &Letters{cfg} }

// Write writes the letter that a notification asks for. An outcome with a result means that there is none to be sent.
func (l *Letters) Write(ctx context.Context, n Notification) (Letter, Outcome, error) {
	order, placed, err := l.order(ctx, n.OrderID)
	if err != nil {
		return Letter{}, Outcome{}, err
	}
	if placed == 0 {
		return Letter{}, Outcome{Failed, "the log has no such order"}, nil
	}
	var f facts
	if outcome, err := l.news(ctx, n, order, &f); err != nil || outcome.Result != "" {
		return Letter{}, outcome, err
	}
	to, outcome, err := l.recipient(ctx, placed)
	if err != nil || outcome.Result != "" {
		return Letter{}, outcome, err
	}
	show, err := l.Shows.Get(ctx, order.ShowID)
	if err != nil {
		return Letter{}, Outcome{}, err
	}
	f.describe(order, show)
	f.Name = to.Name
	letter, err := f.letter()
	if err != nil {
		return Letter{}, Outcome{}, fmt.Errorf("write the letter about %s: %w", n.OrderID, err)
	}
	letter.To = to
	return letter, Outcome{}, nil
}

// order is an order as the log has it now, and the position at which it was placed; 0: there is none.
func (l *Letters) order(ctx context.Context, orderID string) (order domain.Order, placed int64, err error) {
	stream := domain.OrderStream(orderID)
	events, err := l.Store.ReadStreams(ctx, []string{stream})
	if err != nil {
		return order, 0, fmt.Errorf("read order %s: %w", orderID, err)
	}
	for i, e := range events[stream] {
		event, err := domain.Decode(e.Type, int(e.SchemaVersion), e.Data)
		if errors.Is(err, domain.ErrUnknownType) {
			continue // a newer program's; it changes nothing that is known here
		}
		if err != nil {
			return order, 0, fmt.Errorf("event %s: %w", e.ID(), err)
		}
		order.Evolve(event)
		if i == 0 {
			placed = e.Position
		}
	}
	return order, placed, nil
}

// news fills in what is new, or says why it is news no more.
func (l *Letters) news(ctx context.Context, n Notification, order domain.Order, f *facts) (Outcome, error) {
	overtaken := Outcome{Overtaken, "the order is " + string(order.Status) + " now"}
	switch {
	case n.Is(domain.Confirmed):
		pay := order.Newest()
		if order.Status != domain.Confirmed || pay == nil {
			return overtaken, nil
		}
		if pay.Status != domain.Instructed || !l.Now().Before(pay.ExpiresAt) {
			return Outcome{Overtaken, "its newest payment can't be made any more"}, nil
		}
		f.confirm(*pay)
	case n.Is(domain.Completed):
		if order.Status != domain.Completed {
			return overtaken, nil
		}
		f.complete(order, l.TicketCode)
	case n.Is(domain.Canceled):
		if order.Status != domain.Canceled {
			return overtaken, nil
		}
		f.cancel(order)
	case n.IsRefund():
		refund, err := l.refund(ctx, n)
		if err != nil {
			return Outcome{}, err
		}
		if refund.RefundID == "" {
			return Outcome{Failed, "the log has no such refund"}, nil
		}
		f.refund(order, refund)
	default:
		return Outcome{Skipped, "there is no letter for it"}, nil
	}
	return Outcome{}, nil
}

// refund is the refund that a notification tells of, as its own event has it; zero: that event is none.
func (l *Letters) refund(ctx context.Context, n Notification) (domain.RefundCompleted, error) {
	var none domain.RefundCompleted
	if n.Version < 1 {
		return none, nil
	}
	events, err := l.Store.ReadStream(ctx, domain.PaymentStream(n.PaymentID), n.Version-1, 1)
	if err != nil || len(events) == 0 || events[0].Type != none.EventType() {
		return none, err
	}
	event, err := domain.Decode(events[0].Type, int(events[0].SchemaVersion), events[0].Data)
	if err != nil {
		return none, fmt.Errorf("event %s: %w", events[0].ID(), err)
	}
	refund, ok := event.(domain.RefundCompleted)
	if !ok || refund.OrderID != n.OrderID {
		return none, nil
	}
	return refund, nil
}

// recipient is whom the order placed at a position belongs to, or why there is nobody to write to.
func (l *Letters) recipient(ctx context.Context, placed int64) (mail.Address, Outcome, error) {
	contacts, err := l.Store.Contacts(ctx, []int64{placed})
	if err != nil {
		return mail.Address{}, Outcome{}, err
	}
	contact := contacts[placed]
	switch to, ok := address(contact.Email); {
	case contact.Email == "":
		return mail.Address{}, Outcome{Skipped, "no mail address is known"}, nil
	case !ok:
		return mail.Address{}, Outcome{Skipped, "the mail address is not valid"}, nil
	default:
		return mail.Address{Name: oneLine(contact.Name), Address: to}, Outcome{}, nil
	}
}

// address judges a mail address as a buyer wrote it. Only a plain one is taken: nothing before or after it, no
// second one, nothing that could end a line.
func address(text string) (string, bool) {
	text = strings.TrimSpace(text)
	if !printable(text) || strings.ContainsAny(text, " <>,;") {
		return "", false
	}
	parsed, err := mail.ParseAddress(text)
	return text, err == nil && parsed.Address == text
}
