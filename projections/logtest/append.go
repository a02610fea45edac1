package logtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sort"
	"strconv"
	"time"

	"boxoffice/domain"
	"boxoffice/eventstore"
)

// writer decides and appends batch by batch, as commands.Writer does for those who buy.
type writer struct {
	plan   Plan
	pace   pace
	store  *eventstore.Store
	random *rand.Rand
	name   string // makes command and batch ids
	serial uint64

	first  int64 // position
	head   eventstore.Head
	at     time.Time // of the next append
	ticks  int
	states domain.States
	due    map[int64]time.Time // the due rows of the shows
	ids    struct {
		day       string
		next, end uint32
	}

	shows  []int64
	orders map[string]*order  // those that something will happen to
	agenda map[int][]*request // by tick
	ahead  int                // events that these lives will still come to, roughly, but for what expires
	placed map[Fate]int
	deck   []Fate
	dealt  int

	closing bool // no more orders are placed
}

// request is a command and what is stored beside its events.
type request struct {
	id      string
	command domain.Command
	origin  origin
	order   *order // nil: none that we follow
	events  int    // what writer.ahead has for it

	first int // index in the batch of its first event, -1 for none
}

// origin is where a request comes from.
type origin struct {
	actor     string
	key, body string
	causation string
	contact   *eventstore.Contact
	delivery  *eventstore.Delivery
}

func (w *writer) newID(kind string) string {
	w.serial++
	return kind + "-" + w.name + "-" + strconv.FormatUint(w.serial, 36)
}

// append decides requests and what is due, and stores what they come to.
func (w *writer) append(ctx context.Context, requests []*request) error {
	rules := domain.NewBatch(w.at, w.states)
	byID := make(map[string]*request, len(requests))
	var decided []*request
	for _, r := range w.inOrder(rules, requests) {
		r.first = -1
		byID[r.id] = r
		result, err := rules.Decide(r.id, r.command)
		if errors.Is(err, domain.ErrWait) {
			w.agenda[w.ticks] = append(w.agenda[w.ticks], r)
			continue
		}
		if err != nil {
			return fmt.Errorf("decide %T of %s: %w", r.command, result.OrderID, err)
		}
		decided = append(decided, r)
		w.ahead -= r.events
	}
	laidOut := rules.Events()
	if len(laidOut) == 0 {
		return nil
	}
	batch, err := w.batch(rules, laidOut, byID)
	if err != nil {
		return err
	}
	if w.head, err = w.store.Append(ctx, batch); err != nil {
		return err
	}
	for _, d := range batch.Due {
		w.due[d.ShowID] = d.At
	}
	for _, d := range laidOut {
		if !w.states.Evolve(d.Stream, d.Version, d.Event) {
			return fmt.Errorf("%s:%d does not follow its state", d.Stream, d.Version)
		}
	}
	w.goOn(decided, laidOut)
	return nil
}

// inOrder sorts requests by phase and adds what is due on the shows.
func (w *writer) inOrder(rules *domain.Batch, requests []*request) []*request {
	work := append([]*request(nil), requests...)
	for _, id := range w.shows {
		show := w.states.Shows[id]
		if show == nil {
			continue
		}
		if due := show.Due(); !due.IsZero() && !due.After(w.at) {
			work = append(work, &request{id: w.newID("c"), command: domain.EndDue{ShowID: id}, origin: origin{actor: system}})
		}
	}
	phases := make(map[*request]int, len(work))
	for _, r := range work {
		phases[r] = rules.Phase(r.command)
	}
	sort.SliceStable(work, func(i, j int) bool { return phases[work[i]] < phases[work[j]] })
	return work
}

// batch is the append of what was decided.
func (w *writer) batch(rules *domain.Batch, decided []domain.Decided, byID map[string]*request) (eventstore.Batch, error) {
	id := w.newID("b")
	b := eventstore.Batch{Head: w.head, Time: w.at, Events: make([]eventstore.Event, len(decided))}
	for i, d := range decided {
		data, err := domain.Encode(d.Event)
		if err != nil {
			return b, err
		}
		meta := eventstore.Metadata{Batch: id}
		if r := byID[d.CommandID]; r != nil {
			meta.CommandID, meta.Actor, meta.Causation = r.id, r.origin.actor, r.origin.causation
			if r.first < 0 {
				r.first = i
				meta.Key, meta.Body = r.origin.key, r.origin.body
				if delivery := r.origin.delivery; delivery != nil {
					delivery.Index, delivery.ReceivedAt = i, w.at
					b.Deliveries = append(b.Deliveries, *delivery)
				}
			}
			if _, is := d.Event.(domain.OrderPlaced); is && r.origin.contact != nil {
				r.origin.contact.Index = i
				b.Contacts = append(b.Contacts, *r.origin.contact)
			}
		}
		metadata, err := json.Marshal(meta)
		if err != nil {
			return b, err
		}
		b.Events[i] = eventstore.Event{
			Stream: d.Stream, Version: d.Version, Type: d.Event.EventType(),
			SchemaVersion: int16(domain.SchemaVersion(d.Event.EventType())), Data: data, Metadata: metadata,
		}
	}
	b.Due = w.dueRows(rules)
	return b, nil
}

// dueRows are the rows to write: where work becomes due earlier than stored, or where the stored time has passed.
func (w *writer) dueRows(rules *domain.Batch) []eventstore.Due {
	var rows []eventstore.Due
	for _, id := range w.shows {
		show := rules.Show(id)
		if show == nil {
			continue
		}
		next, stored := show.Due(), w.due[id]
		earlier := !next.IsZero() && (stored.IsZero() || next.Before(stored))
		passed := !stored.IsZero() && !stored.After(w.at)
		if (earlier || passed) && !next.Equal(stored) {
			rows = append(rows, eventstore.Due{ShowID: id, At: next})
		}
	}
	return rows
}

// orderID draws the next id of the day, and leases more when there is none.
func (w *writer) orderID(ctx context.Context) (string, error) {
	const lease = 4_096 // as the service
	if day := w.at.Format(time.DateOnly); w.ids.day != day || w.ids.next == w.ids.end {
		first, err := w.store.LeaseOrderIDs(ctx, w.at, lease)
		if err != nil {
			return "", err
		}
		w.ids.day, w.ids.next, w.ids.end = day, first, first+lease
	}
	w.ids.next++
	return domain.OrderID(w.at, w.ids.next-1), nil
}

// loadInbox reads what earlier logs have put into the month's inbox.
func (w *writer) loadInbox(ctx context.Context) error {
	stream := domain.InboxStream(w.at)
	events, err := w.store.ReadStream(ctx, stream, 0, eventstore.MaxPage)
	if err != nil {
		return err
	}
	for _, e := range events {
		event, err := domain.Decode(e.Type, int(e.SchemaVersion), e.Data)
		if err != nil {
			return err
		}
		w.states.Evolve(stream, e.Version, event)
	}
	return nil
}
