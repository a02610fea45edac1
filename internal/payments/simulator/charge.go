package simulator

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"boxoffice/domain"
	"boxoffice/eventstore"
	"boxoffice/internal/payments"
	"boxoffice/internal/payments/qris"
)

// payment is a charge as the simulator keeps it.
type payment struct {
	PaymentID string               `db:"payment_id"`
	OrderID   string               `db:"order_id"`
	Method    domain.PaymentMethod `db:"method"`
	Amount    int64                `db:"amount"`
	Currency  string               `db:"currency"`
	QR        string               `db:"qr"`
	State     payments.State       `db:"state"`
	Received  int64                `db:"received"`  // the money that came; 0: none
	Reference string               `db:"reference"` // our id of that money
	ExpiresAt time.Time            `db:"expires_at"`
	ChargedAt time.Time            `db:"charged_at"`
}

const paymentColumns = `payment_id, order_id, method, amount, currency, qr, state, received, reference, expires_at, charged_at`

// Charge begins a payment. Concurrent charges become one statement.
func (s *Simulator) Charge(ctx context.Context, r payments.ChargeRequest) (payments.Instruction, error) {
	if s.BeforeCharge != nil {
		if err := s.BeforeCharge(r); err != nil {
			return payments.Instruction{}, err
		}
	}
	if r.Amount.Amount%amountEndings == refusedCharge {
		return payments.Instruction{}, payments.Permanent(fmt.Errorf("amounts that end in %d are refused", refusedCharge))
	}
	asked, err := s.newPayment(r)
	if err != nil {
		return payments.Instruction{}, payments.Permanent(err)
	}
	kept, err := s.charges.Do(ctx, asked)
	if err != nil {
		return payments.Instruction{}, err
	}
	if kept.Amount != asked.Amount || kept.Currency != asked.Currency || kept.Method != asked.Method {
		return payments.Instruction{}, payments.Permanent(fmt.Errorf("payment %s was charged with another amount or method", r.PaymentID))
	}
	return payments.Instruction{
		ChargeID: referencePrefix + kept.PaymentID, QR: kept.QR,
		URL: s.PublicURL + pagePath + url.PathEscape(kept.PaymentID), ExpiresAt: kept.ExpiresAt.UTC(),
	}, nil
}

func (s *Simulator) newPayment(r payments.ChargeRequest) (payment, error) {
	p := payment{
		PaymentID: r.PaymentID, OrderID: r.OrderID, Method: r.Method, Amount: r.Amount.Amount, Currency: r.Amount.Currency,
		State: payments.Open, ExpiresAt: r.ExpiresAt, ChargedAt: s.Now(),
	}
	switch {
	case r.Method == domain.Card:
		return p, nil
	case r.Method != domain.QRIS:
		return p, fmt.Errorf("payment method %q is not known here", r.Method)
	case r.Amount.Currency != "IDR":
		return p, fmt.Errorf("QRIS takes IDR, not %q", r.Amount.Currency)
	}
	var err error
	p.QR, err = qris.QRIS(s.Merchant, r.Amount.Amount, r.PaymentID)
	return p, err
}

// Void ends a payment. Concurrent ones become one statement.
func (s *Simulator) Void(ctx context.Context, paymentID string) error {
	_, err := s.voids.Do(ctx, paymentID)
	return err
}

// Status tells what became of a payment.
func (s *Simulator) Status(ctx context.Context, paymentID string) (payments.Status, error) {
	p, err := s.payment(ctx, paymentID)
	if errors.Is(err, sql.ErrNoRows) {
		return payments.Status{State: payments.Unknown}, nil
	}
	if err != nil {
		return payments.Status{}, err
	}
	status := payments.Status{State: p.State, Amount: domain.Money{Amount: p.Amount, Currency: p.Currency}, Reference: p.Reference}
	if p.Reference != "" {
		status.Amount.Amount = p.Received
	}
	return status, nil
}

func (s *Simulator) payment(ctx context.Context, paymentID string) (payment, error) {
	var p payment
	err := s.db.GetContext(ctx, &p, `SELECT `+paymentColumns+` FROM simulator_payments WHERE payment_id = $1`, paymentID)
	if err != nil {
		return p, fmt.Errorf("simulator: read payment %q: %w", paymentID, err)
	}
	return p, nil
}

// storeCharges keeps what is new and answers with what is kept for each.
func (s *Simulator) storeCharges(ctx context.Context, asked []payment) ([]payment, error) {
	// In key order, so that two processes with the same charges can't wait for each other.
	sorted := slices.SortedFunc(slices.Values(asked), func(a, b payment) int { return strings.Compare(a.PaymentID, b.PaymentID) })
	var kept []payment
	err := s.relaxed(ctx, func(tx *sqlx.Tx) error {
		if _, err := tx.ExecContext(ctx, `
			INSERT INTO simulator_payments (payment_id, order_id, method, amount, currency, qr, state, expires_at, charged_at)
			SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::text[],
				$8::timestamptz[], $9::timestamptz[])
			ON CONFLICT (payment_id) DO NOTHING`,
			texts(sorted, func(p payment) string { return p.PaymentID }),
			texts(sorted, func(p payment) string { return p.OrderID }),
			texts(sorted, func(p payment) string { return string(p.Method) }),
			eventstore.Int8Array(each(sorted, func(p payment) int64 { return p.Amount })),
			texts(sorted, func(p payment) string { return p.Currency }),
			texts(sorted, func(p payment) string { return p.QR }),
			texts(sorted, func(p payment) string { return string(p.State) }),
			eventstore.TimeArray(each(sorted, func(p payment) time.Time { return p.ExpiresAt })),
			eventstore.TimeArray(each(sorted, func(p payment) time.Time { return p.ChargedAt })),
		); err != nil {
			return err
		}
		return tx.SelectContext(ctx, &kept, `SELECT `+paymentColumns+` FROM simulator_payments WHERE payment_id = ANY($1::text[])`,
			texts(sorted, func(p payment) string { return p.PaymentID }))
	})
	if err != nil {
		return nil, fmt.Errorf("simulator: store %d charges: %w", len(asked), err)
	}
	byID := make(map[string]payment, len(kept))
	for _, p := range kept {
		byID[p.PaymentID] = p
	}
	return each(asked, func(p payment) payment { return byID[p.PaymentID] }), nil
}

func (s *Simulator) storeVoids(ctx context.Context, paymentIDs []string) ([]struct{}, error) {
	err := s.relaxed(ctx, func(tx *sqlx.Tx) error {
		_, err := tx.ExecContext(ctx, `
			UPDATE simulator_payments SET state = $2 WHERE state = $3 AND payment_id = ANY($1::text[])`,
			eventstore.TextArray(paymentIDs), string(payments.Voided), string(payments.Open))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("simulator: void %d payments: %w", len(paymentIDs), err)
	}
	return make([]struct{}, len(paymentIDs)), nil
}

// relaxed runs a transaction whose commit does not wait for the disk. A crash can then lose the last fraction
// of a second, but never a charge that the log knows of: the append that records its instruction comes later in
// the same write-ahead log and does wait.
func (s *Simulator) relaxed(ctx context.Context, do func(tx *sqlx.Tx) error) error {
	tx, err := s.db.BeginTxx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // says nothing new after a commit
	if _, err := tx.ExecContext(ctx, `SET LOCAL synchronous_commit = off`); err != nil {
		return err
	}
	if err := do(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// each is what f makes of every value.
func each[T, U any](values []T, f func(T) U) []U {
	made := make([]U, len(values))
	for i, v := range values {
		made[i] = f(v)
	}
	return made
}

// texts is one column of values as a text[] parameter.
func texts[T any](values []T, f func(T) string) []byte { return eventstore.TextArray(each(values, f)) }
