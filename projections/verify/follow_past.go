package verify

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/go-json-experiment/json"

	"boxoffice/eventstore"
)

// Limits of reading the past.
const (
	pastStreams = 50              // of one read
	pastRounds  = 4               // orders name payments, and payments an order; whoever names more has forged them
	pastTime    = 2 * time.Second // in one transaction; whoever reads longer goes on in the next
)

// errUnfinished: there is more of the past to read, in another transaction. What was read stays.
var errUnfinished = errors.New("the past was not read in time")

// clock tells a reading of the past when its transaction has had its time. It does a step at least.
type clock struct {
	end   time.Time
	steps int
}

// step reports whether there is time for a step more.
func (c *clock) step() bool {
	c.steps++
	return c.steps == 1 || !c.over()
}

func (c *clock) over() bool { return !time.Now().Before(c.end) }

// subjects are what an event is about, beside its stream.
type subjects struct {
	OrderID   string         `json:"orderId"`
	ShowID    int64          `json:"showId"`
	PaymentID string         `json:"paymentId"`
	HoldID    string         `json:"holdId"`
	Item      string         `json:"item"`
	Payment   paymentSummary `json:"payment"`
	Members   []struct {
		OrderID string `json:"orderId"`
	} `json:"members"`
}

// subjectsOf reads what it can; what can't be read is the fold's to tell.
func subjectsOf(e *eventstore.Recorded) (s subjects) {
	if json.Unmarshal(e.Data, &s) != nil {
		return subjects{}
	}
	return s
}

// recall reads the past of whatever the next appends touch and is not in memory yet.
func (a *Auditor) recall(ctx context.Context, s source, events []eventstore.Recorded) error {
	for i := range events {
		if e := &events[i]; e.Version == 1 {
			a.loaded[e.Stream] = struct{}{} // it has no past
		}
	}
	var streams []string
	var shows []int64
	for i := range events {
		e := &events[i]
		switch kind, id := split(e.Stream); kind {
		case showPrefix:
			about := subjectsOf(e)
			shows = append(shows, about.ShowID)
			if n, _ := splitKey(id); n != about.ShowID {
				shows = append(shows, n)
			}
			for _, m := range about.Members {
				streams = append(streams, orderPrefix+m.OrderID)
			}
		case orderPrefix:
			streams = append(streams, e.Stream)
			if e.Type == "OrderPlaced" {
				shows = append(shows, subjectsOf(e).ShowID)
			}
		case paymentPrefix:
			streams = append(streams, e.Stream)
			if about := subjectsOf(e); about.OrderID != "" {
				streams = append(streams, orderPrefix+about.OrderID)
			}
		case inboxPrefix:
			streams = append(streams, e.Stream)
		default:
			if _, known := a.pass.fold.others[e.Stream]; !known {
				a.pass.fold.stream(e.Stream).version = uint32(max(e.Version, 1) - 1) // nothing is known of what it was before
			}
		}
	}
	if err := a.load(ctx, s, streams, shows); err != nil {
		return err
	}
	for i := range events {
		if !knows(&events[i]) {
			a.unknown(&events[i])
		}
	}
	return nil
}

// load folds the past of streams and shows, up to where the auditor is, without judging it. A stream is folded
// whole or not at all, so if load ends early, called again it goes on where it was.
func (a *Auditor) load(ctx context.Context, s source, streams []string, shows []int64) error {
	f := a.pass.fold
	defer func(found *findings) { f.found = found }(f.found)
	f.found = &findings{}
	c := clock{end: time.Now().Add(a.cfg.past)}
	for queue, round := a.missing(slices.Concat(streams, a.named)), 0; len(queue) > 0 && round < pastRounds; round++ {
		var named []string
		for len(queue) > 0 {
			n, err := min(len(queue), pastStreams), errUnfinished
			var events []eventstore.Recorded
			if c.step() {
				events, err = s.streams(ctx, queue[:n], a.pass.position)
			}
			if err != nil {
				a.named = slices.Concat(queue, named)
				return err
			}
			holds := map[string]hold{}
			for i := range events {
				named = a.remember(&events[i], holds, named)
			}
			f.keepHolds(holds)
			for _, name := range queue[:n] {
				a.loaded[name] = struct{}{}
			}
			queue = queue[n:]
		}
		queue = a.missing(named)
	}
	a.named = nil
	for _, id := range shows {
		if err := a.loadShow(ctx, s, id, &c); err != nil {
			return err
		}
	}
	f.endAppend(a.pass.position) // what is wrong already is not news
	return nil
}

func (f *fold) keepHolds(holds map[string]hold) {
	for orderID, h := range holds {
		_, o := f.orders.open(orderID)
		o.hold, o.held = digestOf(h.id), h.state(o.status)
	}
}

// missing are the streams that are not in memory, each once.
func (a *Auditor) missing(streams []string) []string {
	var out []string
	seen := map[string]struct{}{}
	for _, name := range streams {
		_, loaded := a.loaded[name]
		if _, again := seen[name]; !loaded && !again {
			seen[name] = struct{}{}
			out = append(out, name)
		}
	}
	return out
}

// hold is what an order's own stream tells of its newest hold. Where it stands is told in the show's stream, which
// is too long to be read, but follows from the order's status.
type hold struct {
	id   string
	sold bool
}

func (h hold) state(s status) holdState {
	switch {
	case s == pending || s == confirmed:
		return live
	case s == completed:
		return sold
	case s == canceled && h.sold:
		return returned
	case s == canceled:
		return ended
	default:
		return noHold
	}
}

// remember folds an event of the past, and adds the streams that it names.
func (a *Auditor) remember(e *eventstore.Recorded, holds map[string]hold, named []string) []string {
	if !knows(e) {
		a.pass.fold.follow(e)
		a.blind(e)
		return named
	}
	about := subjectsOf(e)
	switch kind, id := split(e.Stream); kind {
	case orderPrefix:
		if e.Type == "OrderPlaced" || e.Type == "OrderCompleted" {
			holds[id] = hold{about.HoldID, e.Type == "OrderCompleted"}
		}
		for _, paymentID := range []string{about.PaymentID, about.Payment.PaymentID} {
			if paymentID != "" {
				named = append(named, paymentPrefix+paymentID)
			}
		}
	case paymentPrefix:
		if about.OrderID != "" {
			named = append(named, orderPrefix+about.OrderID)
		}
	}
	a.pass.fold.event(e)
	return named
}
