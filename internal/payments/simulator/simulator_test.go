package simulator_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"go.uber.org/goleak"

	"boxoffice/domain"
	"boxoffice/eventstore"
	"boxoffice/internal/devstack"
	"boxoffice/internal/httpapi"
	"boxoffice/internal/payments"
	"boxoffice/internal/payments/qris"
	"boxoffice/internal/payments/simulator"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(devstack.Tidy(m)) }

const secretText = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

func secret(t testing.TB) payments.Secret {
	t.Helper()
	s, err := payments.ParseSecret(secretText)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// shop is Boxoffice as the simulator sees it: a webhook over real HTTP that judges deliveries as ours does.
type shop struct {
	url string

	mu     sync.Mutex
	got    []payments.Delivery
	times  []time.Time
	status func(n int, d payments.Delivery) int // what the n-th delivery is answered; nil: 200
}

func newShop(t *testing.T) *shop {
	t.Helper()
	s := &shop{}
	parser := payments.StandardParser{Gateway: simulator.Name, Verifier: payments.NewVerifier(time.Now, secret(t))}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("delivery: %v", err)
		}
		d, err := parser.Parse(body, r.Header)
		if err != nil || r.Method != http.MethodPost || r.URL.Path != "/webhooks/payment" || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("delivery %s %s %v %s: %v", r.Method, r.URL, r.Header, body, err)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.got, s.times = append(s.got, d), append(s.times, time.Now())
		if s.status != nil {
			w.WriteHeader(s.status(len(s.got), d))
		}
	}))
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

func (s *shop) deliveries() []payments.Delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]payments.Delivery(nil), s.got...)
}

// stand is a simulator with a database of its own.
type stand struct {
	*simulator.Simulator
	t    *testing.T
	db   *sqlx.DB
	shop *shop
}

func newStand(t *testing.T, change ...func(*simulator.Config)) *stand {
	t.Helper()
	db, err := eventstore.OpenDB(devstack.Postgres(t).URL, 8)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	s := newShop(t)
	cfg := simulator.Config{PublicURL: s.url, Secret: secret(t), Open: true, Now: time.Now}
	for _, c := range change {
		c(&cfg)
	}
	sim, err := simulator.New(db, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return &stand{Simulator: sim, t: t, db: db, shop: s}
}

// run sends webhooks until the test ends or stop is called.
func (s *stand) run() (stop func()) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := s.Run(ctx); err != nil {
			s.t.Errorf("run: %v", err)
		}
	})
	stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	s.t.Cleanup(stop)
	return stop
}

func (s *stand) handler() http.Handler {
	s.t.Helper()
	keys, err := httpapi.ParseOperatorKeys("till:sales:0123456789abcdef0123456789abcdef,eye:read:fedcba9876543210fedcba9876543210")
	if err != nil {
		s.t.Fatal(err)
	}
	handler, err := httpapi.NewHandler(httpapi.Config{Operators: keys, Log: slog.New(slog.DiscardHandler)}, s.Routes())
	if err != nil {
		s.t.Fatal(err)
	}
	return handler
}

func request(n int, method domain.PaymentMethod, amount int64) payments.ChargeRequest {
	return payments.ChargeRequest{
		PaymentID: fmt.Sprintf("PAY-20250205-%08x-1", n), OrderID: fmt.Sprintf("ORDER-20250205-%08x", n), Method: method,
		Amount: domain.Money{Amount: amount, Currency: "IDR"}, ExpiresAt: time.Now().Add(time.Hour).UTC().Truncate(time.Microsecond),
	}
}

// charged charges a payment of 300,000 rupiah and returns its id.
func (s *stand) charged(method domain.PaymentMethod) string {
	s.t.Helper()
	r := request(1, method, 300_000)
	if _, err := s.Charge(s.t.Context(), r); err != nil {
		s.t.Fatal(err)
	}
	return r.PaymentID
}

func (s *stand) state(paymentID string) payments.State {
	s.t.Helper()
	status, err := s.Status(s.t.Context(), paymentID)
	if err != nil {
		s.t.Fatal(err)
	}
	return status.State
}

func (s *stand) report(r simulator.Report) {
	s.t.Helper()
	r.Repeat = max(r.Repeat, 1)
	if known, err := s.Report(s.t.Context(), r); err != nil || !known {
		s.t.Fatalf("report: known %v, error %v", known, err)
	}
}

// queued is the number of webhooks that are not delivered yet.
func (s *stand) queued() (n int) {
	s.t.Helper()
	if err := s.db.GetContext(s.t.Context(), &n, `SELECT count(*) FROM simulator_deliveries`); err != nil {
		s.t.Fatal(err)
	}
	return n
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(20 * time.Second)
	for !is() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%s: not in 20 s", what)
		}
	}
}

func TestCharge(t *testing.T) {
	t.Parallel()

	t.Run("a QRIS payment gets a code over its amount", func(t *testing.T) {
		t.Parallel()
		s := newStand(t)
		r := request(1, domain.QRIS, 300_000)
		instruction, err := s.Charge(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		fields, err := qris.Parse(instruction.QR)
		if err != nil {
			t.Fatal(err)
		}
		more, err := fields.Template(qris.TagAdditional)
		if err != nil || fields[qris.TagAmount] != "300000" || more[qris.TagReference] != r.PaymentID {
			t.Errorf("code %s", instruction.QR)
		}
		if instruction.URL != s.shop.url+"/simulator/payments/"+r.PaymentID || !instruction.ExpiresAt.Equal(r.ExpiresAt) || instruction.ChargeID == "" {
			t.Errorf("instruction %+v", instruction)
		}
	})

	t.Run("a card payment gets a page", func(t *testing.T) {
		t.Parallel()
		s := newStand(t)
		instruction, err := s.Charge(t.Context(), request(1, domain.Card, 300_000))
		if err != nil || instruction.QR != "" || instruction.URL == "" {
			t.Errorf("instruction %+v, error %v", instruction, err)
		}
	})

	t.Run("charging again is charging once", func(t *testing.T) {
		t.Parallel()
		s := newStand(t)
		r := request(1, domain.QRIS, 300_000)
		first, err := s.Charge(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		r.ExpiresAt = r.ExpiresAt.Add(time.Hour)
		again, err := s.Charge(t.Context(), r)
		if err != nil || again != first {
			t.Errorf("instruction %+v (%v), want the first %+v", again, err, first)
		}
		r.Amount.Amount++
		if _, err := s.Charge(t.Context(), r); !errors.Is(err, payments.ErrPermanent) {
			t.Errorf("with another amount: error %v", err)
		}
	})

	t.Run("a thousand charges, each from four places at once, are a thousand payments", func(t *testing.T) {
		t.Parallel()
		s := newStand(t)
		var all sync.WaitGroup
		for n := range 1000 {
			for range 4 {
				all.Go(func() {
					instruction, err := s.Charge(t.Context(), request(n, domain.QRIS, int64(1000+n)))
					if err != nil {
						t.Errorf("charge %d: %v", n, err)
						return
					}
					fields, err := qris.Parse(instruction.QR)
					if err != nil || fields[qris.TagAmount] != fmt.Sprint(1000+n) {
						t.Errorf("charge %d: code %s (%v)", n, instruction.QR, err)
					}
				})
			}
		}
		all.Wait()
		var n int
		if err := s.db.GetContext(t.Context(), &n, `SELECT count(*) FROM simulator_payments`); err != nil || n != 1000 {
			t.Errorf("%d payments (%v), want 1000", n, err)
		}
	})

	for name, change := range map[string]func(*payments.ChargeRequest){
		"in dollars by QRIS":                     func(r *payments.ChargeRequest) { r.Amount.Currency = "USD" },
		"of nothing by QRIS":                     func(r *payments.ChargeRequest) { r.Amount.Amount = 0 },
		"by a method nobody knows":               func(r *payments.ChargeRequest) { r.Method = "SHELLS" },
		"of an amount that stands for a refusal": func(r *payments.ChargeRequest) { r.Amount.Amount = 19402 },
	} {
		t.Run("a charge "+name+" is refused for good", func(t *testing.T) {
			t.Parallel()
			s := newStand(t)
			r := request(1, domain.QRIS, 300_000)
			change(&r)
			if _, err := s.Charge(t.Context(), r); !errors.Is(err, payments.ErrPermanent) {
				t.Errorf("error %v", err)
			}
		})
	}

	t.Run("a test can make charges and refunds fail", func(t *testing.T) {
		t.Parallel()
		fault := errors.New("busy")
		s := newStand(t, func(c *simulator.Config) {
			c.BeforeCharge = func(payments.ChargeRequest) error { return fault }
			c.BeforeRefund = func(payments.RefundRequest) error { return fault }
		})
		if _, err := s.Charge(t.Context(), request(1, domain.QRIS, 1000)); !errors.Is(err, fault) || errors.Is(err, payments.ErrPermanent) {
			t.Errorf("charge: %v", err)
		}
		if _, err := s.Refund(t.Context(), payments.RefundRequest{RefundID: "R"}); !errors.Is(err, fault) {
			t.Errorf("refund: %v", err)
		}
	})
}

func TestVoidAndStatus(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	paymentID := s.charged(domain.QRIS)
	if state := s.state("PAY-unknown-1"); state != payments.Unknown {
		t.Errorf("state of an unknown payment %s", state)
	}
	for range 2 {
		if err := s.Void(t.Context(), paymentID); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Void(t.Context(), "PAY-unknown-1"); err != nil {
		t.Errorf("void of an unknown payment: %v", err)
	}
	if state := s.state(paymentID); state != payments.Voided {
		t.Errorf("state %s, want %s", state, payments.Voided)
	}
	s.report(simulator.Report{PaymentID: paymentID, Status: simulator.Success, Amount: 299_999})
	status, err := s.Status(t.Context(), paymentID)
	want := payments.Status{State: payments.Paid, Amount: domain.Money{Amount: 299_999, Currency: "IDR"}, Reference: "SIM-" + paymentID + "-299999"}
	if err != nil || status != want {
		t.Errorf("status %+v (%v), want late money %+v", status, err, want)
	}
	s.report(simulator.Report{PaymentID: paymentID, Status: simulator.Fail, Amount: -1})
	if state := s.state(paymentID); state != payments.Paid {
		t.Errorf("state %s after a failure that came too late, want %s", state, payments.Paid)
	}
}

func TestRefund(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	paymentID := s.charged(domain.QRIS)
	r := payments.RefundRequest{RefundID: "REFUND-1", PaymentID: paymentID, Reference: "R", Amount: domain.Money{Amount: 300_000, Currency: "IDR"}}
	first, err := s.Refund(t.Context(), r)
	if err != nil || first.GatewayID == "" {
		t.Fatalf("receipt %+v, error %v", first, err)
	}
	if again, err := s.Refund(t.Context(), r); err != nil || again != first {
		t.Errorf("again: receipt %+v, error %v", again, err)
	}
	if state := s.state(paymentID); state != payments.Refunded {
		t.Errorf("state %s", state)
	}
	r.Amount.Amount = 1
	if _, err := s.Refund(t.Context(), r); !errors.Is(err, payments.ErrPermanent) {
		t.Errorf("with another amount: error %v", err)
	}
	r.RefundID, r.Amount.Amount = "REFUND-2", 29_404
	if _, err := s.Refund(t.Context(), r); !errors.Is(err, payments.ErrPermanent) {
		t.Errorf("with an amount that stands for a refusal: error %v", err)
	}
}

func TestNew(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]simulator.Config{
		"a URL":                   {Now: time.Now},
		"a clock":                 {PublicURL: "http://127.0.0.1"},
		"a merchant for the code": {PublicURL: "http://127.0.0.1", Now: time.Now, Merchant: qris.Merchant{Name: "x"}},
	} {
		t.Run("it needs "+name, func(t *testing.T) {
			t.Parallel()
			if _, err := simulator.New(nil, cfg); err == nil {
				t.Error("it was made")
			}
		})
	}
}
