package notifications

import (
	"embed"
	"fmt"
	html "html/template"
	"strings"
	text "text/template"
	"time"

	"boxoffice/domain"
	"boxoffice/internal/views"
)

// The letters, each as a subject, a text and a page, by the name of what they tell.
//
//go:embed letters/letters.txt letters/letters.html
var letterFiles embed.FS

var (
	letterTexts = text.Must(text.ParseFS(letterFiles, "letters/letters.txt"))
	letterPages = html.Must(html.ParseFS(letterFiles, "letters/letters.html"))
)

// facts are what the templates of letters may say. All texts are of one line.
type facts struct {
	kind string // the letter

	Name   string // of the buyer; may be empty
	Order  string
	Show   string
	Venue  string
	Starts string
	Lines  []lineFacts
	Total  string
	zone   *time.Location
	ends   time.Time

	Method  string // confirmed
	Until   string
	URL, QR string

	Late    bool // completed
	Tickets []ticketFacts

	Why   string // canceled and refunded
	Money []string
	Sent  string // refunded
	Holds bool   // the tickets stay valid
}

type lineFacts struct {
	Quantity  int64
	Name, Sum string
}

type ticketFacts struct{ ID, Name, Code string }

func (f *facts) confirm(pay domain.PaymentSummary) {
	f.kind, f.Method, f.URL, f.QR, f.ends = "confirmed", methodName(pay.Method), oneLine(pay.URL), oneLine(pay.QR), pay.ExpiresAt
	if !strings.HasPrefix(f.URL, "https://") && !strings.HasPrefix(f.URL, "http://") {
		f.URL = "" // nothing that a mail may link to
	}
}

func (f *facts) complete(order domain.Order, code func(string) string) {
	f.kind, f.Late = "completed", order.Late
	for _, t := range order.Tickets {
		f.Tickets = append(f.Tickets, ticketFacts{ID: t.TicketID, Code: code(t.TicketID)})
	}
}

func (f *facts) cancel(order domain.Order) {
	f.kind, f.Why = "canceled", cancelWords(order.Reason)
	for _, r := range order.Refunds {
		f.Money = append(f.Money, refundWords(r))
	}
	if len(f.Money) == 0 && order.Total.Amount > 0 {
		f.Money = []string{"Its price has not reached us. Please do not pay for it any more."}
	}
}

func (f *facts) refund(order domain.Order, refund domain.RefundCompleted) {
	f.kind, f.Sent, f.Holds = "refunded", views.Price(refund.Amount), order.Status == domain.Completed
	for _, r := range order.Refunds {
		if r.RefundID == refund.RefundID {
			f.Why = refundReasonWords(r.Reason)
		}
	}
}

// describe fills in what every letter says of the order and its show.
func (f *facts) describe(order domain.Order, show domain.Show) {
	f.Order, f.Show, f.Venue = order.OrderID, oneLine(show.Name), oneLine(show.Venue)
	f.zone = zone(show.TimeZone)
	f.Starts, f.Total = clock(show.StartsAt, f.zone), views.Price(order.Total)
	if !f.ends.IsZero() {
		f.Until = clock(f.ends, f.zone)
	}
	names := map[int64]string{}
	for _, t := range show.TicketTypes {
		names[t.TicketTypeID] = oneLine(t.Name)
	}
	for _, line := range order.Lines {
		sum := domain.Money{Amount: line.Quantity * line.UnitPrice, Currency: order.Total.Currency}
		f.Lines = append(f.Lines, lineFacts{line.Quantity, names[line.TicketTypeID], views.Price(sum)})
	}
	for i := range f.Tickets {
		f.Tickets[i].Name = names[order.Tickets[i].TicketTypeID]
	}
}

// letter renders the facts, without a recipient.
func (f *facts) letter() (Letter, error) {
	var subject, body, page strings.Builder
	if err := letterTexts.ExecuteTemplate(&subject, f.kind+" subject", f); err != nil {
		return Letter{}, fmt.Errorf("subject: %w", err)
	}
	if err := letterTexts.ExecuteTemplate(&body, f.kind, f); err != nil {
		return Letter{}, fmt.Errorf("text: %w", err)
	}
	if err := letterPages.ExecuteTemplate(&page, f.kind, f); err != nil {
		return Letter{}, fmt.Errorf("page: %w", err)
	}
	return Letter{Subject: oneLine(subject.String()), Text: body.String(), HTML: page.String()}, nil
}
