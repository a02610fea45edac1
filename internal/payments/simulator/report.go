package simulator

import (
	"context"
	"fmt"
	"strings"

	"github.com/jmoiron/sqlx"

	"boxoffice/domain"
	"boxoffice/eventstore"
	"boxoffice/internal/httpapi"
	"boxoffice/internal/payments"
)

// What can become of a payment, as it is reported.
const (
	Success = "SUCCESS" // money has come
	Fail    = "FAILED"
	Expire  = "EXPIRE"
)

// Limits of one report.
const (
	MaxRepeat    = 20     // deliveries
	MaxDelay     = 60_000 // ms
	maxReference = 64     // characters
	chargedMoney = -1     // amount of a report about the money that was asked for
)

// Report is what became of a payment, and how the gateway tells it.
type Report struct {
	PaymentID string
	Status    string // Success, Fail or Expire
	Amount    int64  // the money that came; negative: what was charged
	// Reference is the gateway's id of the money. Empty: one that belongs to the payment and the amount, so all
	// deliveries of one money carry the same. Another reference makes it other money.
	Reference string
	Repeat    int64 // deliveries, 1 to MaxRepeat
	DelayMS   int64 // before the deliveries, 0 to MaxDelay
}

// Report queues the deliveries of a report; Run sends them. It says whether the payment is known. Concurrent
// reports become one statement.
func (s *Simulator) Report(ctx context.Context, r Report) (bool, error) {
	known, err := s.reports.Do(ctx, r)
	if err != nil {
		return false, err
	}
	if known && r.DelayMS == 0 {
		select {
		case s.wake <- struct{}{}:
		default: // it has been woken already
		}
	}
	return known, nil
}

// check reports what is out of bounds, by the names of the JSON form.
func (r Report) check(c *httpapi.Checks) {
	if r.Status != Success && r.Status != Fail && r.Status != Expire {
		c.Fail("/status", "must be "+strings.Join([]string{Success, Fail, Expire}, ", "))
	}
	if r.Amount != chargedMoney {
		c.Int("/amount", r.Amount, 0, domain.MaxPrice)
	}
	c.OptionalText("/reference", r.Reference, maxReference)
	c.Int("/repeat", r.Repeat, 1, MaxRepeat)
	c.Int("/delayMs", r.DelayMS, 0, MaxDelay)
}

// storeReports moves the payments and queues the deliveries. Money moves a payment from any state but refunded,
// a failure only from open: what was paid stays paid.
func (s *Simulator) storeReports(ctx context.Context, reports []Report) ([]bool, error) {
	var told []string
	err := s.relaxed(ctx, func(tx *sqlx.Tx) error {
		return tx.SelectContext(ctx, &told, `
			WITH asked AS (
				SELECT p.payment_id, r.status, r.repeat, r.delay_ms, p.currency,
					CASE WHEN r.amount < 0 THEN p.amount ELSE r.amount END AS amount,
					CASE WHEN r.status <> $7 THEN ''
						WHEN r.reference <> '' THEN r.reference
						WHEN r.amount < 0 OR r.amount = p.amount THEN $8 || p.payment_id
						ELSE $8 || p.payment_id || '-' || r.amount END AS reference
				FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::bigint[], $6::bigint[])
					AS r(payment_id, status, amount, reference, repeat, delay_ms)
				JOIN simulator_payments p USING (payment_id)
			), paid AS (
				UPDATE simulator_payments p SET state = $9, received = asked.amount, reference = asked.reference
				FROM asked WHERE p.payment_id = asked.payment_id AND asked.status = $7 AND p.state <> $10
			), declined AS (
				UPDATE simulator_payments p SET state = $11
				FROM asked WHERE p.payment_id = asked.payment_id AND asked.status <> $7 AND p.state = $12
					AND NOT EXISTS (SELECT FROM asked other WHERE other.payment_id = asked.payment_id AND other.status = $7)
			)
			INSERT INTO simulator_deliveries (payment_id, status, amount, currency, reference, made_at, due_at)
			SELECT payment_id, status, amount, currency, reference, now(), now() + delay_ms * interval '1 millisecond'
			FROM asked CROSS JOIN LATERAL generate_series(1, asked.repeat)
			RETURNING payment_id`,
			texts(reports, func(r Report) string { return r.PaymentID }),
			texts(reports, func(r Report) string { return r.Status }),
			eventstore.Int8Array(each(reports, func(r Report) int64 { return r.Amount })),
			texts(reports, func(r Report) string { return r.Reference }),
			eventstore.Int8Array(each(reports, func(r Report) int64 { return r.Repeat })),
			eventstore.Int8Array(each(reports, func(r Report) int64 { return r.DelayMS })),
			Success, referencePrefix,
			string(payments.Paid), string(payments.Refunded), string(payments.Declined), string(payments.Open))
	})
	if err != nil {
		return nil, fmt.Errorf("simulator: store %d reports: %w", len(reports), err)
	}
	known := make(map[string]bool, len(told))
	for _, paymentID := range told {
		known[paymentID] = true
	}
	return each(reports, func(r Report) bool { return known[r.PaymentID] }), nil
}
