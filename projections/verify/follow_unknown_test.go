package verify

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"boxoffice/domain"
	"boxoffice/eventstore"
)

func TestWhatANewerProgramWritesIsNotJudged(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		at     int // commit
		tamper func(e *eventstore.Recorded)
	}{
		{"a type of an order", commitConfirmed, func(e *eventstore.Recorded) {
			if e.Type == "OrderConfirmed" {
				e.Type = "OrderPromised"
			}
		}},
		{"a schema version of an order", commitPlaced, func(e *eventstore.Recorded) {
			if e.Stream == "order-"+orderA {
				e.SchemaVersion, e.Data = 2, []byte(`{}`)
			}
		}},
		{"a status of an order", commitConfirmed, func(e *eventstore.Recorded) {
			if e.Type == "OrderConfirmed" {
				e.Data = bytes.ReplaceAll(e.Data, []byte(`"CONFIRMED"`), []byte(`"PROMISED"`))
			}
		}},
		{"a status of a payment", commitPaid, func(e *eventstore.Recorded) {
			if e.Type == "PaymentSettled" {
				e.Data = bytes.ReplaceAll(e.Data, []byte(`"SETTLED"`), []byte(`"CAPTURED"`))
			}
		}},
		{"a reason of an order", commitExpired, func(e *eventstore.Recorded) {
			if e.Type == "OrderCanceled" {
				e.Data = bytes.ReplaceAll(e.Data, []byte(`"reason":"`), []byte(`"reason":"NEW_`))
			}
		}},
		{"a type of a payment", commitPaid, func(e *eventstore.Recorded) {
			if e.Type == "PaymentSettled" {
				e.Type = "PaymentCaptured"
			}
		}},
		{"a schema version of a payment", commitPaidTwice, func(e *eventstore.Recorded) {
			if e.Type == "RefundRequested" {
				e.SchemaVersion = 2
			}
		}},
		{"a type of a show", commitShow, func(e *eventstore.Recorded) { e.Type = "ShowAnnounced" }},
		{"a schema version of a movement", commitExpired, func(e *eventstore.Recorded) {
			if e.Type == "HoldsExpired" {
				e.SchemaVersion, e.Data = 7, []byte(`{"showId":1}`)
			}
		}},
		{"a type of the inbox", commitOddMoney, func(e *eventstore.Recorded) {
			if e.Type == "PaymentUnmatched" {
				e.Type = "LetterReceived"
			}
		}},
	} {
		for _, began := range []bool{false, true} {
			t.Run(fmt.Sprint(c.name, ", known from the past: ", began), func(t *testing.T) {
				t.Parallel()
				log := write(t, story())
				commits := tampered(log, c.at, c.tamper)
				start := c.at
				if began {
					start++
				}
				growing := &memoryLog{}
				for _, commit := range commits[:start] {
					growing.take(commit)
				}
				a := auditing(growing, AuditConfig{})
				looks(t, a)
				for _, commit := range commits[start:] {
					growing.take(commit)
					looks(t, a)
				}
				expects(t, a, nil)
				if unknown := a.Status().Unknown; (unknown == 1) == began {
					t.Errorf("%d unknown events", unknown)
				}
			})
		}
	}
}

func TestAStreamOfAnUnknownKindIsNotJudged(t *testing.T) {
	t.Parallel()
	commits := story()
	log := write(t, commits[:commitPaid])
	a := auditing(log, AuditConfig{})
	looks(t, a)
	seasons := []entry{{"season-7", domain.SalesPaused{ShowID: 1}}, {"season-7", domain.SalesResumed{ShowID: 1}}}
	log.append(t, seasons)
	looks(t, a)
	log.append(t, commits[commitPaid])
	log.append(t, seasons)
	looks(t, a)
	expects(t, a, nil)
	if unknown := a.Status().Unknown; unknown != 4 {
		t.Errorf("%d unknown events", unknown)
	}
}

// tampered cuts a log into its appends, changes the events of one, and makes the chain anew.
func tampered(l *memoryLog, at int, change func(e *eventstore.Recorded)) (commits [][]eventstore.Recorded) {
	var commit []eventstore.Recorded
	var hash []byte
	for _, e := range l.events {
		if len(commits) == at {
			change(&e)
		}
		commit = append(commit, e)
		if e.Hash == nil {
			continue
		}
		events := make([]eventstore.Event, len(commit))
		for i := range commit {
			events[i] = commit[i].Event
		}
		hash = eventstore.Chain(hash, events, e.RecordedAt, commit[0].Position)
		commit[len(commit)-1].Hash = hash
		commits, commit = append(commits, commit), nil
	}
	return commits
}

// take appends a commit as it is.
func (l *memoryLog) take(commit []eventstore.Recorded) {
	l.events = append(l.events, commit...)
	last := commit[len(commit)-1]
	l.end = eventstore.Head{Position: last.Position, Time: last.RecordedAt, Hash: last.Hash}
}

func TestAnAuditorKnowsTheTypesThatTheDomainHas(t *testing.T) {
	t.Parallel()
	seen := 0
	for _, e := range write(t, story()).events {
		if !knows(&e) {
			t.Errorf("%s is not known", e.Type)
		}
		seen++
		e.SchemaVersion++
		if knows(&e) {
			t.Errorf("%s.v2 is known", e.Type)
		}
		e.SchemaVersion, e.Type = 1, "No"+e.Type
		if knows(&e) {
			t.Errorf("%s is known", e.Type)
		}
	}
	for _, stream := range []string{"show-1", "order-" + orderA, "payment-" + payID(orderA), "inbox-202611"} {
		for _, eventType := range []string{
			"ShowCreated", "ShowChanged", "TicketTypeAdded", "TicketTypeChanged", "SalesPaused", "SalesResumed", "ShowCanceled", "TicketsHeld",
			"HoldsReleased", "HoldsExpired", "HoldReacquired", "TicketsSold", "TicketsReturned", "OrderPlaced", "OrderConfirmed",
			"OrderPaymentChanged", "OrderCompleted", "OrderCanceled", "OrderRefunded", "PaymentRequested", "PaymentInstructed",
			"PaymentSettled", "PaymentFailed", "PaymentExpired", "PaymentMismatched", "RefundRequested", "RefundCompleted", "RefundFailed",
			"PaymentUnmatched", "OpenItemResolved", "StreamDiscarded",
		} {
			if !domain.Known(eventType) {
				t.Fatalf("the domain does not know %s", eventType)
			}
			f := newFold(&findings{})
			e := eventstore.Recorded{Event: eventstore.Event{Stream: stream, Version: 1, Type: eventType, SchemaVersion: 1, Data: []byte(`{}`)}}
			f.event(&e)
			folds := !slices.ContainsFunc(f.found.list, func(f Finding) bool { return strings.Contains(f.Detail, "is no event of") })
			if folds != knows(&e) {
				t.Errorf("%s in %s: known %t, folded %t", eventType, stream, knows(&e), folds)
			}
		}
	}
}
