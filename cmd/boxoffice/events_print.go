package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"boxoffice/domain"
	"boxoffice/eventstore"
)

// followEvery is how often --follow looks for more.
const followEvery = 200 * time.Millisecond

// errStopped ends what goes on until somebody stops it: there is nothing to be told.
var errStopped = errors.New("stopped")

// eventPrinter prints the events that a query wants.
type eventPrinter struct {
	eventQuery
	store *eventstore.Store
	out   *bufio.Writer
	say   func(format string, args ...any)
	name  string          // of the command, before what it says
	after int64           // the position, or of a stream the version, that was read last
	seen  eventstore.Head // the end of the log, as it was seen last
}

// run prints until the end of the range, of the log or of ctx.
func (p *eventPrinter) run(ctx context.Context) error {
	if err := p.begin(ctx); err != nil {
		if p.follow && ctx.Err() != nil {
			return errStopped
		}
		return err
	}
	waits := false // for a server that is not there
	for {
		ended, err := p.printPage(ctx)
		var unwritten *outputError
		switch {
		case errors.As(err, &unwritten):
			return err
		case p.follow && ctx.Err() != nil:
			return errStopped
		case p.follow && err != nil && offline(err):
			if !waits {
				p.say("%s: Postgres can't be reached; waiting for it: %v", p.name, err)
			}
			waits = true
		case err != nil || ended:
			return err
		case waits:
			p.say("%s: Postgres is there again", p.name)
			waits = false
		}
		if sleep(ctx, followEvery) != nil {
			return errStopped
		}
	}
}

// begin looks where to read from. A stream that is not there is told, because it may be a slip of the pen.
func (p *eventPrinter) begin(ctx context.Context) error {
	before, err := p.from.positionBefore(ctx, p.store)
	if err != nil {
		return err
	}
	if p.after = before; p.stream == "" {
		return nil
	}
	if p.after, err = p.store.VersionAt(ctx, p.stream, before); err != nil || p.after > 0 {
		return err
	}
	version, err := p.store.VersionAt(ctx, p.stream, math.MaxInt64)
	if err == nil && version == 0 {
		p.say("%s: there is no stream %q%s", p.name, p.stream, nearStream(p.stream))
	}
	return err
}

// printPage prints what there is, page by page, and reports whether nothing more is wanted. Each page is flushed, so
// that a reader at the other end of a pipe sees it, and a reader that has gone ends it.
func (p *eventPrinter) printPage(ctx context.Context) (ended bool, err error) {
	for {
		// The head comes first: what is not there after it, up to the head, will never be.
		head, err := p.store.Head(ctx)
		if err != nil {
			return false, err
		}
		if err := p.goesOn(ctx, head); err != nil {
			return false, err
		}
		p.seen = head
		page, err := p.read(ctx)
		if err != nil {
			return false, err
		}
		for i := range page {
			if p.to.isBefore(&page[i]) {
				return true, written(p.out.Flush())
			}
			if !p.wants(&page[i]) {
				continue
			}
			if err := p.write(p.out, &page[i]); err != nil {
				return false, err
			}
		}
		if err := written(p.out.Flush()); err != nil {
			return false, err
		}
		if len(page) < eventsPage {
			return !p.follow || p.to.isReached(head, p.store.Now()), nil
		}
	}
}

// goesOn reports whether what was seen of the log is still in it, by the hash that its last append had. Errors:
// eventstore.ErrReplaced, if a backup or a replica that lagged has taken its place.
func (p *eventPrinter) goesOn(ctx context.Context, head eventstore.Head) error {
	there := head.Hash
	switch {
	case head.Position < p.seen.Position:
		return fmt.Errorf("the log ends at %d now, after %d was seen: %w", head.Position, p.seen.Position, eventstore.ErrReplaced)
	case p.seen.Position == 0:
		return nil
	case head.Position > p.seen.Position:
		last, err := p.store.EventAt(ctx, p.seen.Position)
		if err != nil {
			return err
		}
		there = last.Hash
	}
	if !bytes.Equal(there, p.seen.Hash) {
		return fmt.Errorf("the append that ends at %d is another one than was seen: %w", p.seen.Position, eventstore.ErrReplaced)
	}
	return nil
}

// read reads the next page of the log or of a stream.
func (p *eventPrinter) read(ctx context.Context) (page []eventstore.Recorded, err error) {
	if p.stream == "" {
		page, err = p.store.ReadAll(ctx, p.after, eventsPage)
	} else {
		page, err = p.store.ReadStream(ctx, p.stream, p.after, eventsPage)
	}
	if err != nil || len(page) == 0 {
		return nil, err
	}
	if last := page[len(page)-1]; p.stream == "" {
		p.after = last.Position
	} else {
		p.after = last.Version
	}
	return page, nil
}

// nearStream says how streams are named, of an order or payment how this one's is.
func nearStream(name string) string {
	if order, ok := domain.OrderOf(name); ok {
		stream := domain.PaymentStream(name)
		if order == name {
			stream = domain.OrderStream(name)
		}
		return "; did you mean " + stream + "?"
	}
	if kind, _ := domain.ParseStream(name); kind == domain.StreamUnknown {
		return "; streams have names like show-42, order-ORDER-20250205-338aa78d, payment-PAY-20250205-338aa78d-1, inbox-202502"
	}
	return ""
}
