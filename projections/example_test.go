package projections_test

import (
	"fmt"
	"time"

	"boxoffice/domain"
	"boxoffice/eventstore"
	"boxoffice/projections"
)

// A projection folds a stream in memory: one event after another, repeats skipped, gaps noticed.
func ExampleProjection() {
	p := projections.Availability()
	rows := p.Rows()
	totals := func(held int64) []domain.Totals {
		return []domain.Totals{{TicketTypeID: 1, Capacity: 10, Held: held}}
	}
	event := func(version int64, ev domain.Event) eventstore.Recorded {
		data, _ := domain.Encode(ev) // these events have a form in JSON
		return eventstore.Recorded{
			Event: eventstore.Event{
				Stream: domain.ShowStream(42), Version: version, Type: ev.EventType(), SchemaVersion: 1, Data: data,
			},
			RecordedAt: time.Unix(0, 0),
		}
	}
	for _, e := range []eventstore.Recorded{
		event(1, domain.ShowCreated{ShowID: 42, Totals: totals(0)}),
		event(2, domain.TicketsHeld{Movement: domain.Movement{ShowID: 42, Totals: totals(2)}}),
		event(2, domain.TicketsHeld{Movement: domain.Movement{ShowID: 42, Totals: totals(2)}}),
		event(5, domain.TicketsHeld{Movement: domain.Movement{ShowID: 42, Totals: totals(9)}}),
	} {
		key, _, _ := p.Key(e)
		step, err := rows.Fold(key, e)
		fmt.Println(e.ID(), "row", key, "version", step.Version, "repeat", step.Outcome == projections.Repeat,
			"gap", step.Outcome == projections.Gap, err)
	}
	// Output:
	// show-42:1 row 42 version 1 repeat false gap false <nil>
	// show-42:2 row 42 version 2 repeat false gap false <nil>
	// show-42:2 row 42 version 2 repeat true gap false <nil>
	// show-42:5 row 42 version 2 repeat false gap true <nil>
}
