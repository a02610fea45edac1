package simulator_test

import (
	"net/http"
	"testing"
	"time"

	"boxoffice/domain"
	"boxoffice/internal/payments"
	"boxoffice/internal/payments/simulator"
)

func TestDeliveries(t *testing.T) {
	t.Parallel()

	t.Run("money is reported by a signed webhook that says all of it", func(t *testing.T) {
		t.Parallel()
		s := newStand(t)
		paymentID := s.charged(domain.QRIS)
		s.run()
		s.report(simulator.Report{PaymentID: paymentID, Status: simulator.Success, Amount: -1})
		eventually(t, "it is delivered", func() bool { return s.queued() == 0 })
		got := s.shop.deliveries()
		if len(got) != 1 {
			t.Fatalf("deliveries %+v", got)
		}
		d := got[0]
		if d.PaymentID != paymentID || d.Kind != payments.Settled || d.Amount == nil || *d.Amount != 300_000 || d.Currency != "IDR" ||
			d.Reference != "SIM-"+paymentID || d.GatewayStatus != "SUCCESS" {
			t.Errorf("delivery %+v", d)
		}
	})

	t.Run("a failure tells of no money", func(t *testing.T) {
		t.Parallel()
		s := newStand(t)
		paymentID := s.charged(domain.Card)
		s.run()
		s.report(simulator.Report{PaymentID: paymentID, Status: simulator.Expire, Amount: -1})
		eventually(t, "it is delivered", func() bool { return s.queued() == 0 })
		if d := s.shop.deliveries()[0]; d.Kind != payments.Failed || d.Amount != nil || d.Reference != "" || s.state(paymentID) != payments.Declined {
			t.Errorf("delivery %+v, state %s", d, s.state(paymentID))
		}
	})

	t.Run("all deliveries of one money carry the same reference, and other money another", func(t *testing.T) {
		t.Parallel()
		s := newStand(t)
		paymentID := s.charged(domain.QRIS)
		s.run()
		s.report(simulator.Report{PaymentID: paymentID, Status: simulator.Success, Amount: -1, Repeat: 3})
		s.report(simulator.Report{PaymentID: paymentID, Status: simulator.Success, Amount: 300_000})
		s.report(simulator.Report{PaymentID: paymentID, Status: simulator.Success, Amount: 5})
		s.report(simulator.Report{PaymentID: paymentID, Status: simulator.Success, Amount: -1, Reference: "second"})
		eventually(t, "all are delivered", func() bool { return s.queued() == 0 })
		counts, ids := map[string]int{}, map[string]bool{}
		for _, d := range s.shop.deliveries() {
			counts[d.Reference]++
			ids[d.DeliveryID] = true
		}
		if counts["SIM-"+paymentID] != 4 || counts["SIM-"+paymentID+"-5"] != 1 || counts["second"] != 1 || len(ids) != 6 {
			t.Errorf("references %v, delivery ids %v", counts, ids)
		}
	})

	t.Run("a delayed report is overtaken", func(t *testing.T) {
		t.Parallel()
		s := newStand(t)
		paymentID := s.charged(domain.QRIS)
		s.run()
		begun := time.Now()
		s.report(simulator.Report{PaymentID: paymentID, Status: simulator.Success, Amount: -1, DelayMS: 400})
		s.report(simulator.Report{PaymentID: paymentID, Status: simulator.Fail, Amount: -1})
		eventually(t, "both are delivered", func() bool { return s.queued() == 0 })
		got := s.shop.deliveries()
		if len(got) != 2 || got[0].GatewayStatus != simulator.Fail || got[1].GatewayStatus != simulator.Success {
			t.Fatalf("deliveries %+v", got)
		}
		if after := s.shop.times[1].Sub(begun); after < 400*time.Millisecond || after > 5*time.Second {
			t.Errorf("the delayed one came after %s", after)
		}
	})

	t.Run("a delivery is sent again until it is taken, under the same id", func(t *testing.T) {
		t.Parallel()
		s := newStand(t)
		s.shop.status = func(n int, _ payments.Delivery) int {
			return []int{http.StatusServiceUnavailable, http.StatusTooManyRequests, http.StatusOK}[n-1]
		}
		paymentID := s.charged(domain.QRIS)
		s.run()
		s.report(simulator.Report{PaymentID: paymentID, Status: simulator.Success, Amount: -1})
		eventually(t, "it is taken", func() bool { return s.queued() == 0 })
		got := s.shop.deliveries()
		if len(got) != 3 || got[0].DeliveryID != got[2].DeliveryID || string(got[0].Body) != string(got[2].Body) {
			t.Errorf("deliveries %+v", got)
		}
	})

	t.Run("a delivery that is refused is not sent again", func(t *testing.T) {
		t.Parallel()
		s := newStand(t)
		s.shop.status = func(int, payments.Delivery) int { return http.StatusBadRequest }
		paymentID := s.charged(domain.QRIS)
		s.run()
		s.report(simulator.Report{PaymentID: paymentID, Status: simulator.Success, Amount: -1})
		eventually(t, "it is given up", func() bool { return s.queued() == 0 })
		if got := s.shop.deliveries(); len(got) != 1 {
			t.Errorf("%d deliveries", len(got))
		}
	})

	t.Run("what nobody could be told survives the process", func(t *testing.T) {
		t.Parallel()
		s := newStand(t)
		s.shop.status = func(int, payments.Delivery) int { return http.StatusBadGateway }
		paymentID := s.charged(domain.QRIS)
		stop := s.run()
		s.report(simulator.Report{PaymentID: paymentID, Status: simulator.Success, Amount: -1})
		eventually(t, "it was tried", func() bool { return len(s.shop.deliveries()) > 0 })
		stop()
		if s.queued() != 1 {
			t.Fatalf("%d in the queue", s.queued())
		}
		s.shop.mu.Lock()
		s.shop.status = nil
		s.shop.mu.Unlock()
		s.run()
		eventually(t, "it is taken", func() bool { return s.queued() == 0 })
	})

	t.Run("a burst is delivered by two processes, each webhook once", func(t *testing.T) {
		t.Parallel()
		s := newStand(t)
		paymentID := s.charged(domain.QRIS)
		s.run()
		s.run()
		const reports = 30
		for range reports {
			s.report(simulator.Report{PaymentID: paymentID, Status: simulator.Success, Amount: -1, Repeat: simulator.MaxRepeat})
		}
		eventually(t, "all are taken", func() bool { return s.queued() == 0 })
		ids := map[string]int{}
		for _, d := range s.shop.deliveries() {
			ids[d.DeliveryID]++
		}
		if len(ids) != reports*simulator.MaxRepeat || len(s.shop.deliveries()) != len(ids) {
			t.Errorf("%d deliveries with %d ids, want %d", len(s.shop.deliveries()), len(ids), reports*simulator.MaxRepeat)
		}
	})
}

func TestReportOfAnUnknownPayment(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	known, err := s.Report(t.Context(), simulator.Report{PaymentID: "PAY-unknown-1", Status: simulator.Success, Repeat: 1})
	if known || err != nil || s.queued() != 0 {
		t.Errorf("known %v, error %v, %d queued", known, err, s.queued())
	}
}
