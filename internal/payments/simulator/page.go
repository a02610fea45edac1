package simulator

import (
	"bytes"
	"context"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"boxoffice/domain"
	"boxoffice/internal/httpapi"
	"boxoffice/internal/payments/qris"
)

//go:embed page.html
var pageText string

var page = template.Must(template.New("page").Parse(pageText))

const (
	maxForm  = 8 << 10                // bytes of a form or its JSON
	pageWait = time.Second            // for a payment that is not charged yet
	pageLook = 100 * time.Millisecond // between two looks for it
)

// choice is a button.
type choice struct{ Status, Label string }

// view is what the page shows.
type view struct {
	Payment      payment
	Amount       string
	Until        string
	Drawing      *qris.Drawing // nil where there is no code
	Told         string        // what was reported just now
	Choices      []choice
	Open         bool
	MaxRepeat    int
	MaxDelay     int
	MaxReference int
}

// Routes is the page, and the POST behind its buttons that machines may use too. Where it is not open both are for
// operators: a payment's id can be guessed.
func (s *Simulator) Routes() []httpapi.Route {
	read, who := httpapi.AnyOperator(), httpapi.Operators(httpapi.RoleAdmin, httpapi.RoleSales)
	if s.Open {
		read, who = httpapi.Anyone, httpapi.Anyone
	}
	return []httpapi.Route{
		{Method: http.MethodGet, Path: pagePath + "{paymentId}", Who: read, Format: httpapi.Page, Handle: s.show},
		{
			Method: http.MethodPost, Path: pagePath + "{paymentId}", Who: who, Format: httpapi.Page,
			MaxBody: maxForm, Handle: s.report,
		},
	}
}

// show answers with the page of a payment.
func (s *Simulator) show(w http.ResponseWriter, r *http.Request) error {
	p, err := s.awaited(r.Context(), r.PathValue("paymentId"))
	if errors.Is(err, sql.ErrNoRows) {
		return httpapi.NotFound("payment")
	}
	if err != nil {
		return err
	}
	v := view{
		Payment: p, Amount: amountText(domain.Money{Amount: p.Amount, Currency: p.Currency}),
		Until: p.ExpiresAt.UTC().Format(time.RFC3339), Open: s.Open,
		Choices:   []choice{{Success, "Pay"}, {Fail, "Decline"}, {Expire, "Let it expire"}},
		MaxRepeat: MaxRepeat, MaxDelay: MaxDelay, MaxReference: maxReference,
	}
	for _, c := range v.Choices { // only words of ours are shown
		if r.URL.Query().Get("told") == c.Status {
			v.Told = c.Status
		}
	}
	if p.QR != "" {
		if v.Drawing, err = qris.Draw(p.QR); err != nil {
			return err
		}
	}
	var text bytes.Buffer
	if err := page.Execute(&text, v); err != nil {
		return fmt.Errorf("write the simulator's page: %w", err)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(text.Bytes()) // a failed write means that the browser is gone
	return nil
}

// awaited is a payment that may be charged in a moment only: buyers can be quicker than the gateway.
func (s *Simulator) awaited(ctx context.Context, paymentID string) (payment, error) {
	_, possible := domain.OrderOf(paymentID)
	for end := time.Now().Add(pageWait); ; {
		p, err := s.payment(ctx, paymentID)
		if !errors.Is(err, sql.ErrNoRows) || !possible || time.Now().After(end) {
			return p, err
		}
		select {
		case <-time.After(pageLook):
		case <-ctx.Done():
			return p, ctx.Err()
		}
	}
}

// accepted is the answer to a machine.
type accepted struct {
	PaymentID  string `json:"paymentId"`
	Status     string `json:"status"`
	Deliveries int64  `json:"deliveries"` // that will be sent
}

// report takes what the gateway shall report: a form goes back to the page, JSON gets 202 or a problem.
func (s *Simulator) report(w http.ResponseWriter, r *http.Request) error {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if kind == "application/x-www-form-urlencoded" {
		asked, err := readForm(r)
		if err == nil {
			err = s.queue(r, asked)
		}
		if err != nil {
			return err
		}
		// Back to the page by GET, so that a reload reports nothing again.
		http.Redirect(w, r, pagePath+url.PathEscape(asked.PaymentID)+"?told="+asked.Status, http.StatusSeeOther)
		return nil
	}
	asked, err := readJSON(r)
	if err == nil {
		err = s.queue(r, asked)
	}
	if err != nil {
		if p := httpapi.FromError(err); p.Status < http.StatusInternalServerError {
			return httpapi.Write(w, r, httpapi.Native, p)
		}
		return err
	}
	return httpapi.JSON(w, http.StatusAccepted, accepted{asked.PaymentID, asked.Status, asked.Repeat})
}

func (s *Simulator) queue(r *http.Request, asked Report) error {
	known, err := s.Report(r.Context(), asked)
	if err == nil && !known {
		return httpapi.NotFound("payment")
	}
	return err
}

// readForm reads the page's form. Empty fields are left out. Errors: *httpapi.Problem.
func readForm(r *http.Request) (Report, error) {
	if err := r.ParseForm(); err != nil {
		return Report{}, httpapi.Invalid(httpapi.FieldError{Detail: "is not a form"})
	}
	var checks httpapi.Checks
	number := func(name string, missing int64) int64 {
		text := r.PostForm.Get(name)
		if text == "" {
			return missing
		}
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 0 {
			checks.Fail("/"+name, "must be a plain integer")
		}
		return n
	}
	asked := Report{
		PaymentID: r.PathValue("paymentId"), Status: r.PostForm.Get("status"), Reference: r.PostForm.Get("reference"),
		Amount: number("amount", chargedMoney), Repeat: number("repeat", 1), DelayMS: number("delayMs", 0),
	}
	asked.check(&checks)
	return asked, checks.Err()
}

// body is the JSON form of a report.
type body struct {
	Status    string                  `json:"status"`
	Amount    httpapi.Optional[int64] `json:"amount"`
	Reference string                  `json:"reference"`
	Repeat    httpapi.Optional[int64] `json:"repeat"`
	DelayMS   int64                   `json:"delayMs"`
}

// Check reports what is out of bounds.
func (b *body) Check(c *httpapi.Checks) {
	if b.Amount.Value == chargedMoney { // it has a meaning only inside
		c.Int("/amount", b.Amount.Value, 0, domain.MaxPrice)
	}
	asked := b.report()
	asked.check(c)
}

func (b *body) report() Report {
	asked := Report{Status: b.Status, Amount: chargedMoney, Reference: b.Reference, Repeat: 1, DelayMS: b.DelayMS}
	if b.Amount.Sent && !b.Amount.Null {
		asked.Amount = b.Amount.Value
	}
	if b.Repeat.Sent && !b.Repeat.Null {
		asked.Repeat = b.Repeat.Value
	}
	return asked
}

// readJSON reads a machine's report. Errors: *httpapi.Problem.
func readJSON(r *http.Request) (Report, error) {
	var b body
	if err := httpapi.Decode(r, &b); err != nil {
		return Report{}, err
	}
	asked := b.report()
	asked.PaymentID = r.PathValue("paymentId")
	return asked, nil
}

// amountText is money for people: IDR 150,000 or USD 34.02.
func amountText(m domain.Money) string {
	exponent, _ := domain.Exponent(m.Currency)
	digits := strconv.FormatInt(m.Amount, 10)
	for len(digits) <= exponent {
		digits = "0" + digits
	}
	whole, rest := digits[:len(digits)-exponent], digits[len(digits)-exponent:]
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if rest != "" {
		whole += "." + rest
	}
	return m.Currency + " " + whole
}
