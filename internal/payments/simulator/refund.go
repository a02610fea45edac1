package simulator

import (
	"context"
	"fmt"

	"github.com/jmoiron/sqlx"

	"boxoffice/domain"
	"boxoffice/eventstore"
	"boxoffice/internal/payments"
)

// Refund sends money back. It does so for money that the simulator never took, too: tests and other senders
// report money by webhooks of their own. Concurrent refunds become one statement.
func (s *Simulator) Refund(ctx context.Context, r payments.RefundRequest) (payments.RefundReceipt, error) {
	if s.BeforeRefund != nil {
		if err := s.BeforeRefund(r); err != nil {
			return payments.RefundReceipt{}, err
		}
	}
	if r.Amount.Amount%amountEndings == refusedRefund {
		return payments.RefundReceipt{}, payments.Permanent(fmt.Errorf("amounts that end in %d are not refunded", refusedRefund))
	}
	kept, err := s.refunds.Do(ctx, r)
	if err != nil {
		return payments.RefundReceipt{}, err
	}
	if kept != r.Amount {
		return payments.RefundReceipt{}, payments.Permanent(fmt.Errorf("refund %s was made with another amount", r.RefundID))
	}
	return payments.RefundReceipt{GatewayID: refundPrefix + r.RefundID}, nil
}

// storeRefunds keeps what is new and answers with the amount that is kept for each.
func (s *Simulator) storeRefunds(ctx context.Context, asked []payments.RefundRequest) ([]domain.Money, error) {
	refundIDs := texts(asked, func(r payments.RefundRequest) string { return r.RefundID })
	var kept []struct {
		RefundID string `db:"refund_id"`
		Amount   int64  `db:"amount"`
		Currency string `db:"currency"`
	}
	err := s.relaxed(ctx, func(tx *sqlx.Tx) error {
		paymentIDs := texts(asked, func(r payments.RefundRequest) string { return r.PaymentID })
		if _, err := tx.ExecContext(ctx, `
			INSERT INTO simulator_refunds (refund_id, payment_id, amount, currency, reference, refunded_at)
			SELECT refund_id, payment_id, amount, currency, reference, now()
			FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::text[])
				AS asked(refund_id, payment_id, amount, currency, reference) ORDER BY refund_id
			ON CONFLICT (refund_id) DO NOTHING`,
			refundIDs, paymentIDs,
			eventstore.Int8Array(each(asked, func(r payments.RefundRequest) int64 { return r.Amount.Amount })),
			texts(asked, func(r payments.RefundRequest) string { return r.Amount.Currency }),
			texts(asked, func(r payments.RefundRequest) string { return r.Reference }),
		); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE simulator_payments SET state = $2 WHERE payment_id = ANY($1::text[])`,
			paymentIDs, string(payments.Refunded)); err != nil {
			return err
		}
		return tx.SelectContext(ctx, &kept,
			`SELECT refund_id, amount, currency FROM simulator_refunds WHERE refund_id = ANY($1::text[])`, refundIDs)
	})
	if err != nil {
		return nil, fmt.Errorf("simulator: store %d refunds: %w", len(asked), err)
	}
	byID := make(map[string]domain.Money, len(kept))
	for _, r := range kept {
		byID[r.RefundID] = domain.Money{Amount: r.Amount, Currency: r.Currency}
	}
	return each(asked, func(r payments.RefundRequest) domain.Money { return byID[r.RefundID] }), nil
}
