package payments_test

import (
	"sync"
	"testing"
	"time"

	"boxoffice/domain"
	"boxoffice/internal/payments"
	"boxoffice/internal/payments/simulator"
)

// TestRepublishing hands the whole log to two processes at once, again and again, with the simulated gateway behind them.
func TestRepublishing(t *testing.T) {
	t.Parallel()
	const orders, owed = 150, 50
	j := newJournal(t)
	var mu sync.Mutex
	charges, refunds := map[string]int{}, map[string]int{}
	gateway, err := simulator.New(j.db, simulator.Config{
		PublicURL: "http://127.0.0.1:1", Secret: secret(t, vectorSecret), Now: time.Now,
		BeforeCharge: func(r payments.ChargeRequest) error {
			mu.Lock()
			defer mu.Unlock()
			charges[r.PaymentID]++
			return nil
		},
		BeforeRefund: func(r payments.RefundRequest) error {
			mu.Lock()
			defer mu.Unlock()
			refunds[r.RefundID]++
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for range orders {
		ids = append(ids, j.request(150_000, time.Hour))
	}
	process := func() *payments.Processor {
		return payments.NewProcessor(payments.ProcessorConfig{
			Gateway: simulator.Name, Charger: gateway, Refunder: gateway, Streams: j.store.ReadStreams, Send: j.send,
			Now: time.Now, DB: j.db,
		})
	}
	publish := func() {
		var both sync.WaitGroup
		for range 2 {
			both.Go(func() { j.hand(process()) })
		}
		both.Wait()
	}

	publish() // both see every payment at the same time, as after a rebalance
	mu.Lock()
	clear(charges)
	mu.Unlock()
	for _, id := range ids[:owed] {
		j.owe(id, 150_000)
	}
	publish()
	publish()

	if len(charges) != 0 {
		t.Errorf("%d payments were charged again", len(charges))
	}
	for _, id := range ids {
		instructed := 0
		for _, r := range j.events(t.Context(), id) {
			if r.Type == "PaymentInstructed" {
				instructed++
			}
		}
		if pay := j.payment(t.Context(), id); instructed != 1 || pay.QR == "" {
			t.Errorf("%s was instructed %d times, code %q", id, instructed, pay.QR)
		}
	}
	for _, id := range ids[:owed] {
		refund, ok := new(j.payment(t.Context(), id)).Refund(domain.RefundID(id, 1))
		if !ok || refund.Status != domain.RefundDone || refunds[refund.RefundID] > 2 {
			t.Errorf("refund %+v, asked for %d times", refund, refunds[refund.RefundID])
		}
	}
	for query, want := range map[string]int{
		`SELECT count(*) FROM simulator_payments`: orders, `SELECT count(*) FROM simulator_refunds`: owed,
		`SELECT count(*) FROM payment_retries`: 0,
	} {
		var n int
		if err := j.db.GetContext(t.Context(), &n, query); err != nil || n != want {
			t.Errorf("%s: %d (%v), want %d", query, n, err, want)
		}
	}
}
