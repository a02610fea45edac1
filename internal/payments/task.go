package payments

import (
	"context"
	"errors"
	"fmt"
	"time"

	"boxoffice/domain"
)

// VoidWindow is how long after its expiry a payment is still voided. A gateway ends it by itself then, and the
// window is for clocks that differ; so republishing an old log voids nothing.
const VoidWindow = time.Hour

// callTimeout is how long one call of the gateway may take.
const callTimeout = 10 * time.Second

// maxDetail is how much of an error's text goes into the log, in characters.
const maxDetail = 200

// task is what one event asks for at the gateway.
type task struct {
	id    string // of the event
	event domain.Event
	tries int // with the one that is made now
}

// gatewayError says that the gateway could not do something now but may later.
type gatewayError struct{ error }

// Unwrap makes the cause findable.
func (e gatewayError) Unwrap() error { return e.error }

// act does a task, if the log still asks for it. Errors: gatewayError; permanent for what can't be read; else a
// fault of the log or of the command bus.
func (p *Processor) act(ctx context.Context, t task) error {
	switch event := t.event.(type) {
	case domain.PaymentRequested:
		return p.charge(ctx, t, event.PaymentID)
	case domain.PaymentExpired:
		return p.void(ctx, t, event.PaymentID)
	case domain.RefundRequested:
		return p.refund(ctx, t, event.PaymentID, event.RefundID)
	default:
		return nil
	}
}

// charge asks the gateway for money while the payment waits for that. It is tried until the payment expires.
func (p *Processor) charge(ctx context.Context, t task, paymentID string) error {
	pay, err := p.payment(ctx, paymentID)
	if err != nil || pay.Status != domain.Requested || !p.Now().Before(pay.ExpiresAt) {
		return err
	}
	call, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	instruction, err := p.Charger.Charge(call, ChargeRequest{
		PaymentID: paymentID, OrderID: pay.OrderID, Method: pay.Method, Amount: pay.Amount, ExpiresAt: pay.ExpiresAt,
	})
	switch {
	case errors.Is(err, ErrPermanent):
		p.Log.WarnContext(ctx, "charge refused by the gateway", "payment", paymentID, "error", err)
		return p.send(ctx, t, domain.FailPayment{
			Gateway: p.Gateway, PaymentID: paymentID, GatewayStatus: "REFUSED", Detail: detail(err),
		})
	case err != nil:
		return failed(ctx, "charge", paymentID, err)
	}
	return p.send(ctx, t, domain.RecordInstruction{
		PaymentID: paymentID, QR: instruction.QR, URL: instruction.URL,
		ChargeID: instruction.ChargeID, ExpiresAt: instruction.ExpiresAt,
	})
}

// void ends a payment at the gateway that nobody needs any more. If that can't be done until the gateway ends it
// by itself it is let go: money that comes all the same is late money, which the rules know.
func (p *Processor) void(ctx context.Context, _ task, paymentID string) error {
	pay, err := p.payment(ctx, paymentID)
	if err != nil || pay.Status != domain.Expired || !p.Now().Before(pay.ExpiresAt.Add(VoidWindow)) {
		return err
	}
	call, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	err = p.Charger.Void(call, paymentID)
	switch {
	case errors.Is(err, ErrPermanent):
		p.Log.WarnContext(ctx, "void refused by the gateway", "payment", paymentID, "error", err)
		return nil
	case err != nil:
		return failed(ctx, "void", paymentID, err)
	}
	return nil
}

// refund sends money back while the payment owes it. A refund that the gateway refuses for good, or that failed
// as often as it may, is given up and becomes an open item.
func (p *Processor) refund(ctx context.Context, t task, paymentID, refundID string) error {
	pay, err := p.payment(ctx, paymentID)
	if err != nil {
		return err
	}
	refund, ok := pay.Refund(refundID)
	if !ok || refund.Status != domain.RefundDue {
		return nil
	}
	call, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	receipt, err := p.Refunder.Refund(call, RefundRequest{
		RefundID: refundID, PaymentID: paymentID, Reference: refund.Reference, Amount: refund.Amount,
	})
	record := domain.RecordRefund{PaymentID: paymentID, RefundID: refundID, GatewayID: receipt.GatewayID, Attempts: t.tries}
	if err != nil {
		if ctx.Err() != nil || !errors.Is(err, ErrPermanent) && t.tries < p.Later.Attempts {
			return failed(ctx, "refund", refundID, err)
		}
		p.Log.WarnContext(ctx, "refund given up", "refund", refundID, "tries", t.tries, "error", err)
		record.Failed, record.Detail = true, detail(err)
	}
	return p.send(ctx, t, record)
}

// failed is a transient error of the gateway, or the context's: a call that was interrupted says nothing.
func failed(ctx context.Context, what, id string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return gatewayError{fmt.Errorf("%s %s: %w", what, id, err)}
}

func detail(err error) string {
	text := []rune(err.Error())
	return string(text[:min(len(text), maxDetail)])
}
