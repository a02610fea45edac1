package serve

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"slices"

	"boxoffice/commands"
	"boxoffice/internal/httpapi"
	"boxoffice/internal/payments"
	"boxoffice/internal/web"
	"boxoffice/projections"
)

// startHTTP serves commands, queries, webhooks and pages.
func (s *service) startHTTP(front start) error {
	handler, err := httpapi.NewHandler(httpapi.Config{
		Operators: s.secrets.operators, Channels: s.secrets.channels, HTTPS: isHTTPS(s.Config.PublicURL),
		RateLimit: s.Config.RateLimit, TrustedProxies: s.Config.TrustedProxies,
		Log: s.Log, Observe: s.metrics.request, Trace: s.tracedRequests(),
	}, s.routes())
	if err != nil {
		return fmt.Errorf("routes: %w", err)
	}
	if s.Config.OperatorKeysFile != "" {
		front("operator keys", func(ctx context.Context) error {
			return s.secrets.operators.Watch(ctx, s.Config.OperatorKeysFile, s.Log)
		})
	}
	if s.gateway.Run != nil {
		front("gateway", s.gateway.Run)
	}
	front("http", s.whenDeciding(func(ctx context.Context) error {
		listener := s.Listener
		if listener == nil {
			var err error
			if listener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", s.Config.HTTPAddr); err != nil {
				return err
			}
		}
		s.Log.InfoContext(ctx, "serving", "address", listener.Addr().String(), "roles", s.Config.Roles.String())
		return httpapi.ServeAndDrain(ctx, httpapi.NewServer(s.Config.HTTPAddr, handler, s.Log), listener, s.Config.Drain)
	}))
	return nil
}

// routes is the whole table of what is served.
func (s *service) routes() []httpapi.Route {
	queries := projections.NewQueries(projections.QueryConfig{
		DB: s.reads, Store: s.readStore, Secrets: s.secrets.tokens, CustomerRef: s.secrets.customerRef, Log: s.Log,
	})
	s.metrics.streams(queries)
	pages := web.Routes(web.Config{
		Shows: s.homeShows(queries), PublicURL: s.Config.PublicURL, Log: s.Log,
		Checks: s.checks(),
	})
	webhook := payments.Routes(payments.WebhookConfig{Parser: s.parser, Gateway: s.gateway, Now: s.store.Now, Send: s.sendPayment, Observe: s.metrics.webhook})
	door := s.door()
	door.Cancellation, door.Refunds = queries.Cancellation, queries.Refunds
	return slices.Concat(door.Routes(), queries.Routes(), s.gateway.Routes, webhook, pages, s.description())
}

// description is the interface's own, for machines and people.
func (s *service) description() []httpapi.Route {
	api, err := httpapi.ParseOpenAPI()
	if err != nil {
		panic(err) // it is embedded: a mistake that every test finds
	}
	return append(api.Routes(), web.Docs(api, s.Config.PublicURL)...)
}

// door is the entrance of the write side.
func (s *service) door() *commands.Door {
	return &commands.Door{
		Send: s.send, Secrets: s.secrets.tokens, CustomerRef: s.secrets.customerRef,
		HoldTTL: s.Config.HoldTTL, Now: s.store.Now,
	}
}

// homeShows lists the shows of the page at /.
func (s *service) homeShows(queries *projections.Queries) func(context.Context) ([]web.Show, error) {
	return func(ctx context.Context) ([]web.Show, error) {
		views, err := queries.ShowsOn(ctx, web.MaxShows+1) // one more tells the page that there are more
		if err != nil {
			return nil, err
		}
		shows := make([]web.Show, 0, len(views))
		for _, v := range views {
			show := web.Show{
				ID: v.ShowID, Name: v.Name, Venue: v.Venue, StartsAt: v.StartsAt, TimeZone: v.TimeZone,
				Status: string(v.Status), Currency: v.Currency,
			}
			for _, t := range v.TicketTypes {
				show.TicketTypes = append(show.TicketTypes, web.TicketType{
					ID: t.TicketTypeID, Name: t.Name, Price: t.Price,
					Capacity: t.Capacity, Held: t.Held, Sold: t.Sold, Available: t.Available,
				})
			}
			shows = append(shows, show)
		}
		return shows, nil
	}
}

func isHTTPS(publicURL string) bool {
	u, err := url.Parse(publicURL)
	return err == nil && u.Scheme == "https"
}
