package logtest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strconv"

	"boxoffice/domain"
	"boxoffice/eventstore"
	"boxoffice/internal/payments/qris"
)

const (
	system   = "system"
	customer = "customer"
	operator = "operator:logtest"
	gateway  = "simulator"
)

// place is the request of an order of somebody who buys.
func (w *writer) place(o *order) *request {
	show := w.shows[w.random.IntN(len(w.shows))]
	lines := []domain.HeldLine{{TicketTypeID: 1 + w.random.Int64N(typesPerShow), Quantity: 1 + w.random.Int64N(tickets)}}
	for _, line := range lines {
		o.total = domain.Money{Amount: 250_000 * line.TicketTypeID * line.Quantity, Currency: "IDR"}
	}
	name := "buyer-" + strconv.FormatUint(w.random.Uint64N(1<<24), 36)
	ref := w.hidden(name)
	key := fmt.Sprintf("%016x%016x", w.random.Uint64(), w.random.Uint64())
	return &request{
		id: w.newID("c"), order: o,
		command: domain.PlaceOrder{OrderID: o.id, ShowID: show, Lines: lines, CustomerRef: ref, Method: o.method, TTL: holdTTL},
		origin: origin{
			actor: customer, key: eventstore.NewRequestKey("POST /orders", ref, key).String(), body: w.hidden("body:" + key),
			contact: &eventstore.Contact{CustomerRef: ref, CustomerID: name, Email: name + "@example.com", Name: "Name of " + name},
		},
	}
}

// hidden is what stands in the log for a text that names people: 22 characters, as long as the service's.
func (w *writer) hidden(text string) string {
	mac := hmac.New(sha256.New, []byte(w.name))
	mac.Write([]byte(text))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:16])
}

// newest is the order's newest payment as it stands now.
func (w *writer) newest(o *order) *domain.Payment {
	return w.states.Payments[w.states.Orders[o.id].Newest().PaymentID]
}

func (w *writer) instructionOf(pay *domain.Payment) domain.RecordInstruction {
	c := domain.RecordInstruction{
		PaymentID: pay.PaymentID, URL: "http://127.0.0.1:8080/simulator/" + pay.PaymentID, ChargeID: "SIM-" + pay.PaymentID,
		ExpiresAt: pay.ExpiresAt,
	}
	if pay.Method == domain.QRIS {
		c.QR = w.code(pay)
	}
	return c
}

// code is the code of a payment. The merchant and the amount fit a code, so there is no error.
func (w *writer) code(pay *domain.Payment) string {
	code, err := qris.QRIS(qris.Merchant{
		Name: "Boxoffice", City: "Jakarta", PostalCode: "10110", Category: "7922", Network: "COM.EXAMPLE.WWW",
		PAN: "936009990000000001", AccountID: "BOXOFFICE000001", NationalID: "ID1020000000001", Size: "UMI",
	}, pay.Amount.Amount, pay.PaymentID)
	if err != nil {
		panic(err)
	}
	return code
}

func instruct(w *writer, o *order) (domain.Command, origin) {
	pay := w.newest(o)
	return w.instructionOf(pay), origin{actor: system, causation: caused(pay, 1)}
}

// caused names the event of a payment's version.
func caused(pay *domain.Payment, version int64) string {
	return domain.PaymentStream(pay.PaymentID) + ":" + strconv.FormatInt(version, 10)
}

// delivered is what the gateway delivered of a payment.
func (w *writer) delivered(paymentID, status, more string) origin {
	id := "msg_" + strconv.FormatUint(w.serial, 10)
	body := fmt.Appendf(nil, `{"header":{"requestId":%q,"requestDS":%q,"uName":%q},"payload":{"paymentId":%q,"status":%q%s}}`,
		id, w.at.Format("2006-01-02T15:04:05Z"), gateway, paymentID, status, more)
	return origin{actor: "gateway:" + gateway, delivery: &eventstore.Delivery{Gateway: gateway, DeliveryID: id, Body: body}}
}

// money is that of a payment.
func (w *writer) money(paymentID string, m domain.Money, reference string) (domain.Command, origin) {
	const status = "SUCCESS"
	more := fmt.Sprintf(`,"amount":%d,"currency":%q,"reference":%q`, m.Amount, m.Currency, reference)
	return domain.SettlePayment{
		Gateway: gateway, PaymentID: paymentID, Amount: &m.Amount, Currency: m.Currency, Reference: reference, GatewayStatus: status,
	}, w.delivered(paymentID, status, more)
}

func settle(w *writer, o *order) (domain.Command, origin) {
	pay := w.newest(o)
	return w.money(pay.PaymentID, o.total, "SIM-"+pay.PaymentID)
}

func settleAgain(w *writer, o *order) (domain.Command, origin) {
	pay := w.newest(o)
	return w.money(pay.PaymentID, o.total, "SIM-"+pay.PaymentID+"-2")
}

func settleWrong(w *writer, o *order) (domain.Command, origin) {
	pay := w.newest(o)
	return w.money(pay.PaymentID, domain.Money{Amount: o.total.Amount - 1_000, Currency: o.total.Currency}, "SIM-"+pay.PaymentID)
}

func settleUnknown(w *writer, o *order) (domain.Command, origin) {
	return w.money("INVOICE-"+o.id, o.total, "SIM-"+o.id)
}

func resolve(w *writer, o *order) (domain.Command, origin) {
	pay := w.newest(o)
	var version int64
	for version = range pay.OpenItems { // there is one
		break
	}
	return domain.ResolveOpenItem{
		Stream: domain.PaymentStream(pay.PaymentID), Version: version, Reason: "The buyer got the money back by hand.",
	}, origin{actor: operator}
}

func fail(w *writer, o *order) (domain.Command, origin) {
	const status = "DENY"
	id := w.newest(o).PaymentID
	return domain.FailPayment{Gateway: gateway, PaymentID: id, GatewayStatus: status}, w.delivered(id, status, "")
}

func askAgain(_ *writer, o *order) (domain.Command, origin) {
	return domain.RequestPayment{OrderID: o.id, Method: o.method}, origin{actor: customer}
}

func cancel(_ *writer, o *order) (domain.Command, origin) {
	return domain.CancelOrder{OrderID: o.id}, origin{actor: customer}
}

func cancelPaid(_ *writer, o *order) (domain.Command, origin) {
	return domain.CancelOrder{OrderID: o.id, ByOperator: true, Note: "The buyer fell ill."}, origin{actor: operator}
}

// endRefund says what became of the order's refund; every other one of money that came twice is given up.
func endRefund(w *writer, o *order) (domain.Command, origin) {
	pay := w.newest(o)
	refund := pay.Refunds[len(pay.Refunds)-1]
	c := domain.RecordRefund{PaymentID: pay.PaymentID, RefundID: refund.RefundID, GatewayID: "SIM-" + refund.RefundID, Attempts: 1}
	if o.fate == Twice && o.number%2 == 0 {
		c.Failed, c.GatewayID, c.Attempts, c.Detail = true, "", 16, "the account is closed"
	}
	return c, origin{actor: system, causation: caused(pay, pay.Version)}
}
