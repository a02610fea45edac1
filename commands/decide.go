package commands

import (
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sort"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"boxoffice/domain"
	"boxoffice/eventstore"
	"boxoffice/internal/views"
)

// plan is what a batch came to, not yet stored.
type plan struct {
	batch    eventstore.Batch
	decided  []domain.Decided
	owners   []*request // by event: the request that caused it, nil for coalesced ones
	answered []*request // what can be answered once the batch is stored
	waiting  []*request // what must be decided in the next batch
	poisoned *request   // made the rules panic; it is answered, the others must be decided again
	drawn    int        // order ids used
}

// decide runs the rules over a batch: by phase, with what is due on its shows in between.
func (w *Writer) decide(requests []*request, at time.Time) (plan, error) {
	at = at.Truncate(time.Microsecond)
	rules := domain.NewBatch(at, w.cache.states())
	work := w.inOrder(rules, requests, at)
	p := plan{answered: make([]*request, 0, len(requests))}
	byID := make(map[string]*request, len(work))
	firsts := map[eventstore.RequestKey]*request{}
	for _, r := range work {
		byID[r.id] = r
		if key := r.origin.Request.Key; r.origin.Request.Keyed() {
			if at, ok := w.keys.at[key]; ok { // another writer answered it meanwhile
				r.replayOf = at
				p.answered = append(p.answered, r)
				continue
			}
			if first := firsts[key]; first != nil {
				r.twin = first
				p.answered = append(p.answered, r)
				continue
			}
			firsts[key] = r
		}
		if !w.decideOne(rules, r, at, &p) {
			return plan{poisoned: r}, nil
		}
	}
	p.decided = rules.Events()
	for _, r := range p.answered {
		if result := r.answer.Result; result.ShowID != 0 && result.OrderID == "" {
			r.answer.Show = factsOf(rules.Show(result.ShowID)) // its version is known once the events are laid out
		}
	}
	if err := w.write(&p, at, byID); err != nil {
		return plan{}, fmt.Errorf("%w: %w", errUnfit, err)
	}
	p.batch.Due = w.cache.due(at, rules)
	return p, nil
}

// inOrder sorts a batch by phase and adds what is due on its shows. It makes every request ready to be decided anew.
func (w *Writer) inOrder(rules *domain.Batch, requests []*request, at time.Time) []*request {
	work := make([]*request, 0, len(requests)+1)
	for _, r := range requests {
		r.first, r.last, r.twin, r.err, r.answer, r.replayOf = -1, -1, nil, nil, Answer{}, 0
		work = append(work, r)
	}
	for _, showID := range w.cache.touched {
		if show := w.cache.show(showID); show != nil {
			if due := show.Due(); !due.IsZero() && !due.After(at) {
				work = append(work, &request{
					id: w.newID("c"), command: domain.EndDue{ShowID: showID}, first: -1, last: -1,
					origin: Origin{Actor: ActorSystem}, done: make(chan struct{}),
				})
			}
		}
	}
	phases := make(map[*request]int, len(work))
	for _, r := range work {
		phases[r] = rules.Phase(r.command)
	}
	sort.SliceStable(work, func(i, j int) bool { return phases[work[i]] < phases[work[j]] })
	return work
}

// decideOne decides one request; false means that it made the rules panic and was answered with a fault.
func (w *Writer) decideOne(rules *domain.Batch, r *request, at time.Time, p *plan) (ok bool) {
	defer func() {
		if cause := recover(); cause != nil {
			w.log.Error("a command made the rules panic", "command", commandName(r.command), "panic", cause, "stack", string(debug.Stack()))
			r.finish(fmt.Errorf("decide %s: panic", commandName(r.command)))
			ok = false
		}
	}()
	command := r.command
	if place, is := command.(domain.PlaceOrder); is {
		id, left := w.ids.at(p.drawn, at)
		if !left {
			p.waiting = append(p.waiting, r)
			return true
		}
		place.OrderID = id
		command = place
	}
	result, err := rules.Decide(r.id, command)
	if errors.Is(err, domain.ErrWait) {
		p.waiting = append(p.waiting, r)
		return true
	}
	p.answered = append(p.answered, r)
	if err != nil {
		r.err = err
		return true
	}
	if _, is := command.(domain.PlaceOrder); is {
		p.drawn++
	}
	r.answer.Result = result
	if result.OrderID != "" {
		if order := rules.Order(result.OrderID); order != nil {
			as := *order
			r.answer.Order = &as
		}
	}
	return true
}

// write makes the append of what was decided.
func (w *Writer) write(p *plan, at time.Time, byID map[string]*request) error {
	batchID := w.newID("b")
	p.batch = eventstore.Batch{Head: w.head, Time: at, Events: make([]eventstore.Event, len(p.decided))}
	p.owners = make([]*request, len(p.decided))
	shared, err := json.Marshal(eventstore.Metadata{Batch: batchID})
	if err != nil {
		return fmt.Errorf("encode metadata: %w", err)
	}
	for i, d := range p.decided {
		data, err := domain.Encode(d.Event)
		if err != nil {
			return fmt.Errorf("encode %s: %w", d.Event.EventType(), err)
		}
		metadata := shared
		if r := byID[d.CommandID]; r != nil {
			p.owners[i] = r
			r.answer.Batch = batchID
			if metadata, err = r.metadata(batchID, r.first < 0); err != nil {
				return err
			}
			w.place(p, r, i, d)
		}
		p.batch.Events[i] = eventstore.Event{
			Stream: d.Stream, Version: d.Version, Type: d.Event.EventType(),
			SchemaVersion: int16(domain.SchemaVersion(d.Event.EventType())), Data: data, Metadata: metadata,
		}
	}
	return nil
}

// place notes where a request's events stand, and what is stored beside them.
func (w *Writer) place(p *plan, r *request, i int, d domain.Decided) {
	kind, _ := domain.ParseStream(d.Stream)
	if r.first < 0 {
		r.first = i
		if r.origin.Delivery != nil {
			delivery := *r.origin.Delivery
			delivery.Index = i
			p.batch.Deliveries = append(p.batch.Deliveries, delivery)
		}
	}
	if kind == domain.StreamOrder || kind == domain.StreamShow {
		r.last = i
	}
	if _, is := d.Event.(domain.OrderPlaced); is && r.origin.Contact != nil {
		contact := *r.origin.Contact
		contact.Index = i
		p.batch.Contacts = append(p.batch.Contacts, contact)
	}
}

// factsOf copies what an answer tells of a show: the state itself goes on changing.
func factsOf(s *domain.Show) *views.ShowFacts {
	if s == nil {
		return nil
	}
	return &views.ShowFacts{
		ShowID: s.ShowID, Name: s.Name, Venue: s.Venue, StartsAt: s.StartsAt, TimeZone: s.TimeZone, Currency: s.Currency,
		PaymentMethods: s.PaymentMethods, Paused: s.Paused, Canceled: s.Canceled, Version: s.Version,
		TicketTypes: slices.Clone(s.TicketTypes), Totals: slices.Clone(s.Totals()),
	}
}

// metadata is what is stored beside an event of the request; the key stands on the first one only. It is
// eventstore.Metadata in JSON, written by hand because every event of every order has it.
func (r *request) metadata(batchID string, first bool) (json.RawMessage, error) {
	const typical = 256 // bytes
	b := append(append(make([]byte, 0, typical), `{"batch":"`...), batchID...)
	b = append(append(b, `","commandId":"`...), r.id...)
	b = append(b, '"')
	var err error
	add := func(name, value string) {
		if value != "" && err == nil {
			b, err = jsontext.AppendQuote(append(b, name...), value)
		}
	}
	add(`,"actor":`, r.origin.Actor)
	if first && r.origin.Request.Keyed() {
		add(`,"key":`, r.origin.Request.Key.String())
		add(`,"body":`, r.origin.Request.Body)
	}
	add(`,"causation":`, r.origin.Causation)
	add(`,"trace":`, r.origin.Trace)
	if err != nil {
		return nil, fmt.Errorf("encode metadata: %w", err)
	}
	return append(b, '}'), nil
}
