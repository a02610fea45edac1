// Package gateways is the list of payment gateways that PAYMENT_GATEWAY may name. A new one is a package beside
// internal/payments/simulator, and a line in all.
package gateways

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"boxoffice/internal/payments"
	"boxoffice/internal/payments/simulator"
)

// Settings are what gateways are made with. Each takes what it needs.
type Settings struct {
	DB        *sqlx.DB          // for tables of a gateway's own
	PublicURL string            // how the gateway reaches our webhook
	Secrets   []payments.Secret // of its webhooks; the first signs
	Demo      bool              // a demo on loopback: what is unsigned is taken too
	Now       func() time.Time  // the database's clock
	Log       *slog.Logger
}

// all are the gateways by name.
func all() map[string]func(Settings) (payments.Gateway, error) {
	return map[string]func(Settings) (payments.Gateway, error){
		simulator.Name: newSimulator,
	}
}

// Names are the names of all gateways, sorted.
func Names() []string { return slices.Sorted(maps.Keys(all())) }

// New makes the gateway of a name. Errors: there is none of that name; what its constructor refuses.
func New(name string, s Settings) (payments.Gateway, error) {
	create, ok := all()[name]
	if !ok {
		return payments.Gateway{}, fmt.Errorf("%q is not a gateway that is known here: %s", name, strings.Join(Names(), ", "))
	}
	gateway, err := create(s)
	if err != nil {
		return payments.Gateway{}, fmt.Errorf("gateway %s: %w", name, err)
	}
	gateway.Name = name
	return gateway, nil
}

func newSimulator(s Settings) (payments.Gateway, error) {
	gateway, err := simulator.New(s.DB, simulator.Config{
		PublicURL: s.PublicURL, Secret: s.Secrets[0], Open: s.Demo, Now: s.Now, Log: s.Log,
	})
	if err != nil {
		return payments.Gateway{}, err
	}
	return payments.Gateway{Charger: gateway, Refunder: gateway, Routes: gateway.Routes(), Run: gateway.Run}, nil
}
