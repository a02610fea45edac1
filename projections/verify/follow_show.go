package verify

import (
	"context"
	"slices"

	"github.com/go-json-experiment/json"

	"boxoffice/eventstore"
)

// showWindow is how many versions of a show's stream are read at once.
const showWindow = 5000

// outline is what was read of a show's past: it is kept when reading takes more than one look.
type outline struct {
	events  []eventstore.Recorded
	version int64 // up to which it was read
}

// loadShow folds what defines a show, and the totals of its last event.
func (a *Auditor) loadShow(ctx context.Context, s source, id int64, c *clock) error {
	name := showStream(id)
	if _, loaded := a.loaded[name]; loaded {
		return nil
	}
	if !c.step() {
		return errUnfinished
	}
	newest, err := s.last(ctx, name, a.pass.position)
	if err != nil {
		return err
	}
	for len(newest) == 1 {
		o := a.outlines[name]
		if o == nil {
			o = &outline{}
			a.outlines[name] = o
		}
		if o.version >= newest[0].Version {
			break
		}
		upTo := min(o.version+showWindow, newest[0].Version)
		events, err := s.defining(ctx, name, o.version, upTo)
		if err != nil {
			return err
		}
		o.events, o.version = append(o.events, events...), upTo
		if upTo < newest[0].Version && c.over() {
			return errUnfinished
		}
	}
	if o := a.outlines[name]; o != nil {
		for i := range o.events {
			a.remember(&o.events[i], nil, nil)
		}
		delete(a.outlines, name)
	}
	for i := range newest {
		if e := &newest[i]; knows(e) && slices.Contains(movements(), e.Type) {
			a.pass.fold.event(withoutMembers(e))
		}
	}
	a.loaded[name] = struct{}{}
	return nil
}

// withoutMembers is a movement that tells its totals and moves nothing. Folded after an event that it comes long
// after it brings a show to its version.
func withoutMembers(e *eventstore.Recorded) *eventstore.Recorded {
	var body struct {
		ShowID int64 `json:"showId"`
		Totals []struct {
			TicketTypeID int64 `json:"ticketTypeId"`
			Capacity     int64 `json:"capacity"`
			Held         int64 `json:"held"`
			Sold         int64 `json:"sold"`
		} `json:"totals"`
	}
	bare := *e
	if json.Unmarshal(e.Data, &body) == nil {
		if data, err := json.Marshal(body); err == nil {
			bare.Data = data
		}
	}
	return &bare
}
