package projections

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"boxoffice/domain"
	"boxoffice/eventstore"
	"boxoffice/internal/views"
)

// Availability is the read model of shows: their descriptions, ticket types, and what is left of them.
// It is fed by the show's stream alone, and every event of a show moves the version of all its rows.
func Availability() *Model[ShowState] {
	shows, types, left := showTable(), ticketTypeTable(), availabilityTable()
	return &Model[ShowState]{
		Def: Definition{
			Name: "availability", Number: 1, Topic: OrdersTopic, Prefix: showStreams,
			Tables: []string{"shows", "ticket_types", "availability"},
		},
		KeyOf:  showKey,
		Decode: decodeShow,
		Apply:  applyShow,
		Load:   loadShows,
		Fill: func(rows []Row[ShowState]) []Filled {
			return []Filled{
				shows.with(rows),
				types.with(partsOf(rows, func(s ShowState) []domain.TicketType { return s.TicketTypes })),
				left.with(partsOf(rows, func(s ShowState) []domain.Totals { return s.Totals })),
			}
		},
	}
}

// ShowState is a show as its events tell it. Version is filled by Facts.
type ShowState struct {
	views.ShowFacts
	Defined int64     // version of the last event that changed what a ticket type is
	At      time.Time // of the show's last event
}

// Facts is what a show at a version shows.
func (s *ShowState) Facts(version int64) views.ShowFacts {
	f := s.ShowFacts
	f.Version = version
	return f
}

const showStreams = "show-"

func showKey(e eventstore.Recorded) (string, bool, error) {
	id, ok := strings.CutPrefix(e.Stream, showStreams)
	if !ok {
		return "", false, nil
	}
	if _, err := strconv.ParseInt(id, 10, 64); err != nil {
		return "", false, fmt.Errorf("%w: stream %q is no show's", ErrPoison, e.Stream)
	}
	return id, true, nil
}

func applyShow(s *ShowState, e eventstore.Recorded, ev domain.Event) error {
	s.At = e.RecordedAt
	switch ev := ev.(type) {
	case domain.ShowCreated:
		s.ShowID, s.Name, s.Venue = ev.ShowID, ev.Name, ev.Venue
		s.StartsAt, s.TimeZone, s.Currency = ev.StartsAt, ev.TimeZone, ev.Currency
		s.PaymentMethods = ev.PaymentMethods
		s.TicketTypes, s.Totals = ev.TicketTypes, ev.Totals
		s.Defined = e.Version
	case domain.ShowChanged:
		s.Name, s.Venue, s.StartsAt, s.Totals = ev.Name, ev.Venue, ev.StartsAt, ev.Totals
	case domain.TicketTypeAdded:
		s.define(ev.TicketType, e.Version)
		s.Totals = ev.Totals
	case domain.TicketTypeChanged:
		s.define(ev.TicketType, e.Version)
		s.Totals = ev.Totals
	case domain.SalesPaused:
		s.Paused, s.Totals = true, ev.Totals
	case domain.SalesResumed:
		s.Paused, s.Totals = false, ev.Totals
	case domain.ShowCanceled:
		s.Canceled, s.Totals = true, ev.Totals
	case moved:
		s.Totals = ev.Totals
	}
	return nil
}

// define adds or replaces a ticket type.
func (s *ShowState) define(t domain.TicketType, version int64) {
	types := slices.DeleteFunc(slices.Clone(s.TicketTypes), func(o domain.TicketType) bool {
		return o.TicketTypeID == t.TicketTypeID
	})
	types = append(types, t)
	slices.SortFunc(types, func(a, b domain.TicketType) int { return cmp.Compare(a.TicketTypeID, b.TicketTypeID) })
	s.TicketTypes, s.Defined = types, version
}
