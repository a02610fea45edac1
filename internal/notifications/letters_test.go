package notifications_test

import (
	"strings"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"boxoffice/domain"
	"boxoffice/internal/notifications"
)

// writeLetter writes the letter that a message asks for.
func (w *world) writeLetter(msg *message.Message) (notifications.Letter, notifications.Outcome) {
	w.t.Helper()
	news, err := notifications.Parse(msg)
	if err != nil {
		w.t.Fatal(err)
	}
	letter, outcome, err := w.letters().Write(w.t.Context(), news)
	if err != nil {
		w.t.Fatal(err)
	}
	return letter, outcome
}

func TestMailsSayWhatTheirReadersNeed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n, _ := w.notifier(w.mails())
	w.running(n)
	for _, c := range []struct {
		name    string
		given   func(o order) *message.Message
		subject string
		says    []string
		text    []string // in the text alone
		silent  []string
	}{
		{
			name:    "how to pay",
			given:   func(o order) *message.Message { o.confirm(); return o.is(domain.Confirmed) },
			subject: "Please pay for your order: Malam Jazz",
			says:    []string{"Hello Ana Müller,", "Rp1.550.000", "QRIS", "https://pay.example/ORDER-", "WIB"},
			text:    []string{"2 x Festival: Rp300.000\n", "1 x Tribune: Rp1.250.000\n", "Total: Rp1.550.000\n"},
			silent:  []string{"00020101QR"}, // the page shows the code
		},
		{
			name: "how to pay with a code and no page",
			given: func(o order) *message.Message {
				pay := o.pays(domain.Instructed)
				pay.URL = "javascript:alert(1)"
				o.write(domain.OrderConfirmed{OrderStep: o.step(domain.Confirmed), Payment: pay})
				return o.is(domain.Confirmed)
			},
			subject: "Please pay for your order: Malam Jazz",
			says:    []string{"00020101QR"},
			silent:  []string{"javascript"},
		},
		{
			name:    "the tickets",
			given:   func(o order) *message.Message { o.confirm(); o.complete(); return o.is(domain.Completed) },
			subject: "Your tickets: Malam Jazz",
			says: []string{
				"Thank you, we have your money", "TICKET-20261122-", "-3", "code-of-TICKET-20261122-", "Tribune", "Gedung Kesenian",
				"Sat 2 Jan 2027, 20:00 WIB",
			},
			silent: []string{"Please pay"},
		},
		{
			name: "the tickets of an order that was paid late",
			given: func(o order) *message.Message {
				o.confirm()
				o.cancel(domain.ReasonHoldExpired)
				o.write(domain.OrderCompleted{
					OrderStep: o.step(domain.Completed), Late: true, CompletedAt: time.Now(), Payment: o.pays(domain.Settled),
					Tickets: []domain.Ticket{{TicketID: domain.TicketID(o.id, 1), TicketTypeID: 1}},
				})
				return o.is(domain.Completed)
			},
			subject: "Your tickets: Malam Jazz",
			says:    []string{"Your money came after the order had ended"},
		},
		{
			name: "the end of an unpaid order",
			given: func(o order) *message.Message {
				o.confirm()
				o.cancel(domain.ReasonHoldExpired)
				return o.is(domain.Canceled)
			},
			subject: "Order canceled: Malam Jazz",
			says:    []string{"has ended because it was not paid in time", "Its price has not reached us. Please do not pay for it any more."},
		},
		{
			name: "the end of a paid order",
			given: func(o order) *message.Message {
				o.complete()
				o.cancel(domain.ReasonShowCanceled)
				o.owe(domain.RefundDue, domain.ShowCancel)
				return o.is(domain.Canceled)
			},
			subject: "Order canceled: Malam Jazz",
			says:    []string{"because the show was canceled", "Rp1.550.000 goes back the way you paid; we write again when it is done."},
			silent:  []string{"no money", "code-of"},
		},
		{
			name: "the end of an order whose money is back already",
			given: func(o order) *message.Message {
				o.complete()
				o.cancel(domain.ReasonOperator)
				o.owe(domain.RefundDone, domain.OrderCancel)
				return o.is(domain.Canceled)
			},
			subject: "Order canceled: Malam Jazz",
			says:    []string{"because the organiser canceled it", "Rp1.550.000 went back the way you paid."},
		},
		{
			name: "the end of an order whose money could not be sent back",
			given: func(o order) *message.Message {
				o.complete()
				o.cancel(domain.ReasonCustomer)
				o.owe(domain.RefundLost, domain.OrderCancel)
				return o.is(domain.Canceled)
			},
			subject: "Order canceled: Malam Jazz",
			says:    []string{"because you canceled it", "Rp1.550.000 is owed to you"},
		},
		{
			name: "money that went back",
			given: func(o order) *message.Message {
				o.cancel(domain.ReasonHoldExpired)
				o.owe(domain.RefundDone, domain.LateMoney)
				return o.sendBack()
			},
			subject: "Money sent back: Malam Jazz",
			says:    []string{"Rp1.550.000", "went back the way you paid because it came after the order had ended and its tickets were gone."},
			silent:  []string{"stay valid"},
		},
		{
			name: "money that came twice",
			given: func(o order) *message.Message {
				o.write(domain.OrderRefunded{
					OrderStep: o.step(domain.Completed), RefundID: domain.RefundID(o.payment(1), 1), PaymentID: o.payment(1),
					Refund: domain.RefundDone, Reason: domain.DuplicateMoney, Amount: rupiah(1_550_000),
				})
				o.complete()
				return o.sendBack()
			},
			subject: "Money sent back: Malam Jazz",
			says:    []string{"because the order was paid already", "Your tickets stay valid."},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := w.place("ana@example.com", "Ana Müller")
			msg := c.given(o)
			before := len(w.server.Mails())
			w.hand(n, msg)
			eventually(t, "the mail is there", func() string {
				if len(w.server.Mails()) > before {
					return ""
				}
				return "no mail; " + w.result("mail", msg.UUID)
			})
			m := w.server.Mails()[before]
			to, err := m.Recipient()
			if err != nil || to.Name != "Ana Müller" || to.Address != "ana@example.com" {
				t.Errorf("it goes to %v (%v)", to, err)
			}
			if m.From != "tickets@box.example" || strings.Join(m.To, " ") != "ana@example.com" || m.Header.Get("From") != `"Boxoffice" <tickets@box.example>` {
				t.Errorf("envelope from %s to %s, header from %s", m.From, m.To, m.Header.Get("From"))
			}
			if m.Subject != c.subject {
				t.Errorf("subject %q", m.Subject)
			}
			if !strings.HasPrefix(m.ID, "<boxoffice.") || !strings.HasSuffix(m.ID, "@box.example>") || m.Header.Get("Auto-Submitted") != "auto-generated" {
				t.Errorf("id %s, %s", m.ID, m.Header.Get("Auto-Submitted"))
			}
			check(t, "text", m.Text, append(c.says, append(c.text, o.id)...), c.silent)
			check(t, "page", stripped(m.HTML), append(c.says, o.id), c.silent)
			if strings.Contains(m.Text, "\n\n\n") {
				t.Errorf("the text has holes:\n%s", m.Text)
			}
			t.Log(m.Text)
		})
	}
}

// stripped is a page without its marks, with links shown.
func stripped(page string) string {
	page = strings.ReplaceAll(page, `<a href="`, "")
	for _, mark := range []string{"<strong>", "</strong>", "<code>", "</code>"} {
		page = strings.ReplaceAll(page, mark, "")
	}
	return page
}

func check(t *testing.T, what, text string, says, silent []string) {
	t.Helper()
	for _, s := range says {
		if !strings.Contains(text, s) {
			t.Errorf("the %s does not say %q:\n%s", what, s, text)
		}
	}
	for _, s := range append(silent, "<no value>", "ZgotmplZ", "Jan 0001") {
		if strings.Contains(text, s) {
			t.Errorf("the %s says %q:\n%s", what, s, text)
		}
	}
}

func TestWhatIsNotTrueAnyMoreIsNotTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, c := range []struct {
		name  string
		given func(o order) *message.Message
		want  string
	}{
		{
			name:  "to pay for an order that is paid",
			given: func(o order) *message.Message { o.confirm(); o.complete(); return o.is(domain.Confirmed) },
			want:  "the order is COMPLETED now",
		},
		{
			name: "to pay for an order that has ended",
			given: func(o order) *message.Message {
				o.confirm()
				o.cancel(domain.ReasonCustomer)
				return o.is(domain.Confirmed)
			},
			want: "the order is CANCELED now",
		},
		{
			name: "to pay after the time for it",
			given: func(o order) *message.Message {
				pay := o.pays(domain.Instructed)
				pay.ExpiresAt = time.Now().Add(-time.Second)
				o.write(domain.OrderConfirmed{OrderStep: o.step(domain.Confirmed), Payment: pay})
				return o.is(domain.Confirmed)
			},
			want: "its newest payment can't be made any more",
		},
		{
			name: "to pay with a payment that failed",
			given: func(o order) *message.Message {
				o.confirm()
				o.write(domain.OrderPaymentChanged{OrderStep: o.step(domain.Confirmed), Payment: o.pays(domain.Failed)})
				return o.is(domain.Confirmed)
			},
			want: "its newest payment can't be made any more",
		},
		{
			name: "tickets of an order that was canceled after all",
			given: func(o order) *message.Message {
				o.complete()
				o.cancel(domain.ReasonOperator)
				return o.is(domain.Completed)
			},
			want: "the order is CANCELED now",
		},
		{
			name: "the end of an order that was paid after all",
			given: func(o order) *message.Message {
				o.cancel(domain.ReasonHoldExpired)
				o.complete()
				return o.is(domain.Canceled)
			},
			want: "the order is COMPLETED now",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, outcome := w.writeLetter(c.given(w.place("ana@example.com", "Ana")))
			if outcome.Result != notifications.Overtaken || outcome.Reason != c.want {
				t.Errorf("%+v, want overtaken: %s", outcome, c.want)
			}
		})
	}
}

func TestOnlyWhoCanBeWrittenToIsWrittenTo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n, counts := w.notifier(w.mails())
	w.running(n)
	for _, c := range []struct{ name, email, want string }{
		{"nobody gave an address, or the customer was forgotten", "", "no mail address is known"},
		{"no address", "ana", "the mail address is not valid"},
		{"two addresses", "ana@example.com, ben@example.com", "the mail address is not valid"},
		{"a name before it", "Ana <ana@example.com>", "the mail address is not valid"},
		{"a header behind it", "ana@example.com\r\nBcc: ben@example.com", "the mail address is not valid"},
		{"a command behind it", "ana@example.com>\r\nRCPT TO:<ben@example.com", "the mail address is not valid"},
		{"a comment", "ana(comment)@example.com (x\r\n y)", "the mail address is not valid"},
		{"a comment alone", "ana(comment)@example.com", "the mail address is not valid"},
		{"parameters", "ana@example.com> SIZE=1", "the mail address is not valid"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := w.place(c.email, "Ana")
			o.confirm()
			msg := o.is(domain.Confirmed)
			w.hand(n, msg)
			eventually(t, "it is skipped", func() string {
				if got := w.result("mail", msg.UUID); got != "skipped: "+c.want {
					return got
				}
				return ""
			})
		})
	}
	if got := counts.of("mail", notifications.Skipped); got != 9 || len(w.server.Mails()) != 0 {
		t.Errorf("%d skipped, %d mails", got, len(w.server.Mails()))
	}
}

func TestNoNameGetsIntoTheHeaders(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n, _ := w.notifier(w.mails())
	w.running(n)
	w.write(domain.ShowStream(1), nil, domain.ShowChanged{
		ShowID: 1, Name: "Jazz\r\nBcc: eve@example.com\r\n\r\n<script>alert(1)</script>", Venue: "Hall", StartsAt: startsAt,
	})
	o := w.place("ana@example.com", "Ana\" <eve@example.com>\r\nBcc: eve@example.com\r\n\r\n<script>alert(2)</script>")
	o.confirm()
	w.hand(n, o.is(domain.Confirmed))
	eventually(t, "the mail is there", func() string {
		if len(w.server.Mails()) == 1 {
			return ""
		}
		return "it is not"
	})
	m := w.server.Mails()[0]
	if strings.Join(m.To, " ") != "ana@example.com" || m.Header.Get("Bcc") != "" {
		t.Errorf("it went to %s, Bcc %q", m.To, m.Header.Get("Bcc"))
	}
	if to, err := m.Recipient(); err != nil || to.Address != "ana@example.com" {
		t.Errorf("recipient %v (%v)", to, err)
	}
	if strings.Contains(m.HTML, "<script>") {
		t.Errorf("the page has a script:\n%s", m.HTML)
	}
	if strings.Contains(m.Subject, "\n") || !strings.HasSuffix(m.Subject, "<script>alert(1)</script>") {
		t.Errorf("subject %q", m.Subject)
	}
}
