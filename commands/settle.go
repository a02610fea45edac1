package commands

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"boxoffice/domain"
	"boxoffice/eventstore"
)

// settle takes a batch to its end: every request in it is answered, or carried over to the next batch.
func (w *Writer) settle(ctx context.Context, batch []*request) {
	batch, err := w.known(ctx, batch)
	if err != nil {
		finishAll(batch, unavailable("look up requests", err))
		return
	}
	for len(batch) > 0 {
		again, err := w.try(ctx, batch)
		switch {
		case err == nil && again == nil:
			return
		case err == nil:
			batch = again
		case errors.Is(err, eventstore.ErrRefused), errors.Is(err, errUnfit):
			w.halve(ctx, batch, err)
			return
		case errors.Is(err, eventstore.ErrReplaced):
			w.log.Error("the log was replaced by another one: all states are dropped", "error", err)
			if w.watch.Replaced != nil {
				w.watch.Replaced()
			}
			if err := w.restart(ctx); err != nil {
				finishAll(batch, unavailable("start again", err))
				return
			}
			if batch, err = w.known(ctx, batch); err != nil {
				finishAll(batch, unavailable("look up requests", err))
				return
			}
		default:
			finishAll(batch, unavailable("append", err))
			return
		}
	}
}

func unavailable(what string, err error) error {
	return fmt.Errorf("%s: %w: %w", what, ErrUnavailable, err)
}

// halve finds the command that Postgres refuses to store: alone it fails, its neighbours do not.
func (w *Writer) halve(ctx context.Context, batch []*request, err error) {
	if len(batch) == 1 {
		w.log.Error("a command can't be stored", "command", commandName(batch[0].command), "error", err)
		w.ids.drop() // if it was its id that is taken, the next ones of the lease may be, too
		batch[0].finish(fmt.Errorf("store %s: %w", commandName(batch[0].command), err))
		return
	}
	middle := len(batch) / 2
	w.settle(ctx, batch[:middle])
	w.settle(ctx, batch[middle:])
}

// try decides a batch once and appends it. It returns the requests that must be decided again, none when all is done.
func (w *Writer) try(ctx context.Context, batch []*request) ([]*request, error) {
	at := w.now()
	if err := w.load(ctx, batch, at); err != nil {
		return nil, err
	}
	if w.turns {
		return w.turn(ctx, batch, at)
	}
	p, err := w.decide(batch, at)
	if err != nil {
		return nil, err
	}
	if p.poisoned != nil {
		return without(batch, p.poisoned), nil
	}
	if len(p.batch.Events) == 0 {
		return w.unwritten(ctx, batch, p)
	}
	begun := time.Now()
	head, err := w.store.Append(ctx, p.batch)
	switch {
	case errors.Is(err, eventstore.ErrFenced):
		w.turns, w.calm = true, 0
		return batch, w.follow(ctx)
	case err != nil:
		return nil, err
	}
	w.commit(p, head, time.Since(begun))
	return nil, nil
}

// unwritten answers a batch that decided nothing. Such answers are right only if the states are those at the head.
func (w *Writer) unwritten(ctx context.Context, batch []*request, p plan) ([]*request, error) {
	head, err := w.store.Head(ctx)
	if err != nil {
		return nil, err
	}
	if head.Position != w.head.Position || !bytes.Equal(head.Hash, w.head.Hash) {
		return batch, w.follow(ctx)
	}
	if len(p.batch.Due) > 0 {
		if err := w.store.SetDue(ctx, w.head, p.batch.Due); errors.Is(err, eventstore.ErrFenced) {
			return batch, w.follow(ctx)
		} else if err != nil {
			return nil, err
		}
	}
	w.commit(p, w.head, 0)
	return nil, nil
}

// turn decides under the lock of the head, after all that others wrote; so nobody starves where several processes write.
func (w *Writer) turn(ctx context.Context, batch []*request, at time.Time) ([]*request, error) {
	var p plan
	begun := time.Now()
	if w.watch.Turn != nil {
		w.watch.Turn()
	}
	head, err := w.store.Turn(ctx, w.head, func(head eventstore.Head, tail []eventstore.Recorded) (*eventstore.Batch, error) {
		w.fold(tail)
		w.head = head
		w.cache.bind()
		if w.calm++; len(tail) > 0 {
			w.calm = 0
		}
		if at.Before(head.Time) {
			at = head.Time
		}
		var err error
		if p, err = w.decide(batch, at); err != nil {
			return nil, err
		}
		if p.poisoned != nil || len(p.batch.Events) == 0 {
			return nil, nil
		}
		return &p.batch, nil
	})
	switch {
	case errors.Is(err, eventstore.ErrTailTooLong):
		return batch, w.follow(ctx)
	case errors.Is(err, eventstore.ErrFenced):
		return batch, nil
	case err != nil:
		return nil, err
	case p.poisoned != nil:
		return without(batch, p.poisoned), nil
	}
	if len(p.batch.Events) == 0 && len(p.batch.Due) > 0 {
		switch err := w.store.SetDue(ctx, head, p.batch.Due); {
		case errors.Is(err, eventstore.ErrFenced):
			p.batch.Due = nil // whoever wrote since does it, or the next turn
		case err != nil:
			return nil, err
		}
	}
	w.commit(p, head, time.Since(begun))
	if w.calm >= calmTurns {
		w.turns = false
	}
	return nil, nil
}

// commit makes what was appended part of the states and answers the batch.
func (w *Writer) commit(p plan, head eventstore.Head, took time.Duration) {
	base := w.head.Position
	for i, d := range p.decided {
		w.grown(w.cache.evolve(d.Stream, d.Version, d.Event, true))
		if r := p.owners[i]; r != nil && r.first == i && r.origin.Request.Keyed() {
			w.keys.add(r.origin.Request.Key, base+int64(i)+1)
		}
	}
	w.head = head
	for _, d := range p.batch.Due {
		w.cache.setDue(d.ShowID, d.At)
	}
	w.ids.used(p.drawn)
	if w.watch.Appended != nil && len(p.decided) > 0 {
		w.watch.Appended(len(p.answered), len(p.decided), took)
	}
	for _, r := range p.answered {
		w.answer(r, base)
	}
	w.carry = append(w.carry, p.waiting...)
}

// grown asks for a snapshot of a show; if the snapshotter is busy, the show has to grow once more.
func (w *Writer) grown(showID int64) {
	if showID == 0 || w.dirty == nil {
		return
	}
	select {
	case w.dirty <- showID:
	default:
	}
}

// answer closes a request whose batch is durable. base is the position before the batch.
func (w *Writer) answer(r *request, base int64) {
	if r.replayOf > 0 {
		r.finish(nil)
		return
	}
	if r.twin != nil {
		if r.twin.err != nil || r.twin.first < 0 {
			w.carry = append(w.carry, r) // the first of the two was refused, so the key is not used up
			return
		}
		r.replayOf = base + int64(r.twin.first) + 1
		r.finish(nil)
		return
	}
	if r.err == nil {
		r.answer.Position = w.head.Position
		if r.last >= 0 {
			r.answer.Position = base + int64(r.last) + 1
		}
	}
	r.finish(r.err)
}

// now is the time of the next batch: the database's, never before the log's.
func (w *Writer) now() time.Time {
	if at := w.store.Now(); at.After(w.head.Time) {
		return at
	}
	return w.head.Time
}

func without(batch []*request, gone *request) []*request {
	rest := make([]*request, 0, len(batch))
	for _, r := range batch {
		if r != gone {
			rest = append(rest, r)
		}
	}
	return rest
}

func commandName(c domain.Command) string {
	name := fmt.Sprintf("%T", c)
	return name[len("domain."):]
}
