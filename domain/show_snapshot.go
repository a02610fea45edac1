package domain

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// ShowSnapshotFormat is the number of the form that Snapshot writes and of the fold behind it. A snapshot
// of another form is thrown away.
const ShowSnapshotFormat = 1

// errSnapshot is returned for a snapshot that this program did not write.
var errSnapshot = errors.New("not a snapshot of this format")

type showSnapshot struct {
	Format         int             `json:"format"`
	Version        int64           `json:"version"`
	ShowID         int64           `json:"showId"`
	Name           string          `json:"name"`
	Venue          string          `json:"venue"`
	StartsAt       time.Time       `json:"startsAt"`
	TimeZone       string          `json:"timeZone"`
	Currency       string          `json:"currency"`
	PaymentMethods []PaymentMethod `json:"paymentMethods"`
	TicketTypes    []TicketType    `json:"ticketTypes"`
	Totals         []Totals        `json:"totals"`
	Paused         bool            `json:"paused"`
	Canceled       bool            `json:"canceled"`
	Holds          []Member        `json:"holds"`
	Taken          []takenSnapshot `json:"taken"`
}

type takenSnapshot struct {
	CustomerRef  string `json:"ref"`
	TicketTypeID int64  `json:"type"`
	Quantity     int64  `json:"n"`
}

// Snapshot is the state in the form of ShowSnapshotFormat. Equal states have equal snapshots.
func (s *Show) Snapshot() ([]byte, error) {
	snap := showSnapshot{
		Format: ShowSnapshotFormat, Version: s.Version, ShowID: s.ShowID,
		Name: s.Name, Venue: s.Venue, StartsAt: s.StartsAt, TimeZone: s.TimeZone, Currency: s.Currency,
		PaymentMethods: s.PaymentMethods, TicketTypes: s.TicketTypes, Totals: s.tally.totals,
		Paused: s.Paused, Canceled: s.Canceled, Holds: []Member{}, Taken: []takenSnapshot{},
	}
	s.holds.byOrder.each(func(_ string, h *hold) {
		snap.Holds = append(snap.Holds, Member{
			OrderID: h.orderID, HoldID: h.holdID, CustomerRef: h.customerRef, Lines: h.lines,
			ExpiresAt: h.expiresAt, ReleaseAt: h.releaseAt,
		})
	})
	s.taken.each(func(key customerType, n int64) {
		snap.Taken = append(snap.Taken, takenSnapshot{key.customerRef, key.ticketTypeID, n})
	})
	slices.SortFunc(snap.Holds, func(a, b Member) int { return strings.Compare(a.OrderID, b.OrderID) })
	slices.SortFunc(snap.Taken, func(a, b takenSnapshot) int {
		return cmp.Or(strings.Compare(a.CustomerRef, b.CustomerRef), cmp.Compare(a.TicketTypeID, b.TicketTypeID))
	})
	data, err := json.Marshal(snap)
	if err != nil {
		return nil, fmt.Errorf("snapshot show %d: %w", s.ShowID, err)
	}
	return data, nil
}

// RestoreShow reads what Snapshot wrote. Any error means: fold the show from its events instead.
func RestoreShow(data []byte) (*Show, error) {
	var snap showSnapshot
	if err := json.Unmarshal(data, &snap); err != nil {
		return nil, fmt.Errorf("restore show: %w", err)
	}
	if snap.Format != ShowSnapshotFormat || len(snap.Totals) != len(snap.TicketTypes) {
		return nil, fmt.Errorf("restore show %d: %w", snap.ShowID, errSnapshot)
	}
	s := &Show{
		Version: snap.Version, ShowID: snap.ShowID,
		Name: snap.Name, Venue: snap.Venue, StartsAt: snap.StartsAt, TimeZone: snap.TimeZone, Currency: snap.Currency,
		PaymentMethods: snap.PaymentMethods, TicketTypes: snap.TicketTypes, Paused: snap.Paused, Canceled: snap.Canceled,
	}
	for i, t := range snap.TicketTypes {
		s.tally.offer(t.TicketTypeID, t.Capacity)
		if len(s.tally.totals) != i+1 || snap.Totals[i].TicketTypeID != t.TicketTypeID {
			return nil, fmt.Errorf("restore show %d: %w", snap.ShowID, errSnapshot)
		}
	}
	s.tally.totals = snap.Totals
	for _, m := range snap.Holds {
		s.holds.put(&hold{
			orderID: m.OrderID, holdID: m.HoldID, customerRef: m.CustomerRef, lines: m.Lines,
			expiresAt: m.ExpiresAt, releaseAt: m.ReleaseAt,
		})
	}
	for _, t := range snap.Taken {
		s.taken.set(customerType{t.CustomerRef, t.TicketTypeID}, t.Quantity)
	}
	return s, nil
}
