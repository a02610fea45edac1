// Package web holds the pages that come with Boxoffice, their style and script, and the two health routes.
//
// Pages are rendered from function values that the wiring passes in, so this package knows no read model.
package web

import (
	"context"
	"embed"
	"log/slog"
	"net/http"
	"time"

	"boxoffice/internal/httpapi"
)

//go:embed assets
var assets embed.FS

// Config is what the pages are made from.
type Config struct {
	// Shows lists what is on, the soonest first. The page shows the first MaxShows of them.
	Shows func(ctx context.Context) ([]Show, error)
	// PublicURL is how callers reach us, without a slash at the end; empty takes it from each request.
	PublicURL string
	// Checks are what /readyz looks at.
	Checks []Check
	// Log is told when a check begins or ceases to fail. Required.
	Log *slog.Logger
}

// Show is one show as the page tells of it.
type Show struct {
	ID          int64
	Name        string
	Venue       string
	StartsAt    time.Time
	TimeZone    string // IANA name of the venue's zone
	Status      string // upcoming, on_sale, paused, sold_out, ended or canceled
	Currency    string
	TicketTypes []TicketType
}

// TicketType is one ticket type with its counts. Capacity = Held + Sold + Available.
type TicketType struct {
	ID        int64
	Name      string
	Price     int64 // in the currency's smallest unit
	Capacity  int64
	Held      int64
	Sold      int64
	Available int64
}

// Routes is the table of the pages, their assets and the health routes.
func Routes(config Config) []httpapi.Route {
	routes := []httpapi.Route{
		{Method: http.MethodGet, Path: "/{$}", Who: httpapi.Anyone, Format: httpapi.Page, Handle: config.home},
		{Method: http.MethodGet, Path: "/favicon.ico", Who: httpapi.Anyone, Handle: asset("favicon.svg", "image/svg+xml")},
	}
	for _, file := range []struct{ name, contentType string }{
		{"boxoffice.css", "text/css; charset=utf-8"},
		{"boxoffice.js", "text/javascript; charset=utf-8"},
		{"favicon.svg", "image/svg+xml"},
	} {
		routes = append(routes, httpapi.Route{
			Method: http.MethodGet, Path: "/assets/" + file.name, Who: httpapi.Anyone,
			Handle: asset(file.name, file.contentType),
		})
	}
	return append(routes, HealthRoutes(config.Checks, config.Log)...)
}
