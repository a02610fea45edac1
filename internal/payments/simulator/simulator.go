// Package simulator is a payment gateway for demos and tests: an outside system that happens to live in the
// same program. It takes QRIS and card payments, keeps them in tables of its own, has a page where one pays,
// declines or lets a payment expire, and reports that by signed webhooks over real HTTP.
//
// By itself it stays silent: nobody pays until somebody says so on the page or by POST. What it is told may be
// repeated, delayed (so that reports overtake one another) and differ from what was charged. It takes money for
// payments that were voided, failed or have expired too, because real money comes late.
package simulator

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"boxoffice/domain"
	"boxoffice/internal/gather"
	"boxoffice/internal/payments"
	"boxoffice/internal/payments/qris"
)

// Name is what the gateway is called.
const Name = "simulator"

// Amounts that end in these digits meet trouble, so that it can be shown without a test's hooks.
const (
	amountEndings    = 10_000
	refusedCharge    = 9402 // the charge is refused for good
	refusedRefund    = 9404 // the payment is taken, but its refund is refused for good
	mostGathered     = 256  // charges, voids, refunds or reports in one statement
	statementTimeout = 10 * time.Second
	pagePath         = "/simulator/payments/"
	webhookPath      = "/webhooks/payment"
	referencePrefix  = "SIM-"
	refundPrefix     = "SIM-"
)

// Config is what the simulator may be told.
type Config struct {
	PublicURL string          // how Boxoffice is reached: its webhook and the simulator's page; no slash at its end
	Secret    payments.Secret // signs the webhooks
	Open      bool            // the page takes orders from anyone; only for a demo on loopback. Else: operators
	Now       func() time.Time
	Merchant  qris.Merchant // zero: a made-up one
	Log       *slog.Logger  // nil: says nothing
	Client    *http.Client  // sends the webhooks; nil: one of its own that follows no redirects

	// BeforeCharge and BeforeRefund, if set, may fail a call before anything happens. For tests.
	BeforeCharge func(payments.ChargeRequest) error
	BeforeRefund func(payments.RefundRequest) error
}

// Simulator is the gateway. It is a payments.Charger and a payments.Refunder; Run sends its webhooks, and any
// number of processes may run one on the same database.
type Simulator struct {
	Config
	db      *sqlx.DB
	charges *gather.Runner[payment, payment]
	voids   *gather.Runner[string, struct{}]
	refunds *gather.Runner[payments.RefundRequest, domain.Money]
	reports *gather.Runner[Report, bool]
	results *gather.Runner[result, struct{}]
	wake    chan struct{} // a report is due at once
}

var (
	_ payments.Charger  = (*Simulator)(nil)
	_ payments.Refunder = (*Simulator)(nil)
)

// New makes a Simulator on db, which has the project's schema. It does no I/O. Errors: a merchant that fits no
// QRIS code, a missing part.
func New(db *sqlx.DB, cfg Config) (*Simulator, error) {
	if cfg.Merchant == (qris.Merchant{}) {
		cfg.Merchant = demoMerchant()
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Client == nil {
		cfg.Client = newClient()
	}
	cfg.PublicURL = strings.TrimSuffix(cfg.PublicURL, "/")
	if cfg.PublicURL == "" || cfg.Now == nil {
		return nil, errors.New("simulator: it needs a public URL and a clock")
	}
	if _, err := qris.QRIS(cfg.Merchant, 1, ""); err != nil {
		return nil, fmt.Errorf("simulator: %w", err)
	}
	s := &Simulator{Config: cfg, db: db, wake: make(chan struct{}, 1)}
	s.charges = gather.New(mostGathered, statementTimeout, s.storeCharges)
	s.voids = gather.New(mostGathered, statementTimeout, s.storeVoids)
	s.refunds = gather.New(mostGathered, statementTimeout, s.storeRefunds)
	s.reports = gather.New(mostGathered, statementTimeout, s.storeReports)
	s.results = gather.New(mostGathered, statementTimeout, s.storeResults)
	return s, nil
}

func demoMerchant() qris.Merchant {
	return qris.Merchant{
		Name: "Boxoffice", City: "Jakarta", PostalCode: "10110", Category: "7922", Network: "COM.EXAMPLE.WWW",
		PAN: "936009990000000001", AccountID: "BOXOFFICE000001", NationalID: "ID1020000000001", Size: "UMI",
	}
}
