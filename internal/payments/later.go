package payments

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"boxoffice/eventstore"
)

const (
	mostRetries = 64              // waiting tasks that are tried at a time
	retryLease  = 2 * time.Minute // a task that was taken and not finished is taken again after this
	retryIdle   = time.Second     // the longest pause before the waiting tasks are looked at again
)

// waiting is a task that the gateway could not do. All that is kept is the event that asks for it.
type waiting struct {
	EventID string `db:"event_id"`
	Tries   int    `db:"tries"`
}

// Run tries again what the gateway could not do, until ctx ends. It returns nil. Any number of processes may run
// it; a database that does not answer is asked again.
func (p *Processor) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		due, pause, err := p.take(ctx)
		if err != nil && ctx.Err() == nil {
			p.Log.WarnContext(ctx, "waiting gateway calls can't be read", "error", err)
		}
		var trying sync.WaitGroup
		for _, w := range due {
			trying.Go(func() {
				if err := p.retry(ctx, w); err != nil && ctx.Err() == nil {
					p.Log.WarnContext(ctx, "waiting gateway call not tried", "event", w.EventID, "error", err)
				}
			})
		}
		trying.Wait()
		if len(due) == mostRetries {
			continue // there may be more
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
	return nil
}

// retry tries a waiting task once and notes what came of it. One that this program can't read waits on, because the
// message that asked for it is done with and a newer program may be able to: a refund must not be lost.
func (p *Processor) retry(ctx context.Context, w waiting) error {
	event, err := p.load(ctx, w.EventID)
	if errors.Is(err, ErrPermanent) {
		p.Log.ErrorContext(ctx, "waiting gateway call is not in the log and is dropped", "event", w.EventID, "error", err)
		return p.done(ctx, w.EventID)
	}
	if err != nil {
		return err // the lease brings it back, here and below
	}
	task, err := newTask(event)
	if err != nil {
		return err
	}
	if task.event == nil {
		return fmt.Errorf("event %s is %s, which asks for nothing that is known here", w.EventID, event.Type)
	}
	task.tries = w.Tries + 1
	err = p.again(ctx, event, task)
	if _, gateway := errors.AsType[gatewayError](err); gateway {
		return p.postpone(ctx, task)
	}
	if err != nil {
		return err
	}
	return p.done(ctx, w.EventID)
}

// done ends the retries of an event.
func (p *Processor) done(ctx context.Context, eventID string) error {
	if _, err := p.DB.ExecContext(ctx, `DELETE FROM payment_retries WHERE event_id = $1`, eventID); err != nil {
		return fmt.Errorf("end the retries of %s: %w", eventID, err)
	}
	return nil
}

// again does a waiting task within the trace of its event.
func (p *Processor) again(ctx context.Context, event eventstore.Recorded, t task) error {
	if p.Trace == nil {
		return p.act(ctx, t)
	}
	ctx, ended := p.Trace(ctx, event)
	err := p.act(ctx, t)
	ended(err)
	return err
}

// load reads the event of a waiting task from the log.
func (p *Processor) load(ctx context.Context, eventID string) (eventstore.Recorded, error) {
	cut := strings.LastIndexByte(eventID, ':')
	version, err := strconv.Atoi(eventID[cut+1:])
	if cut < 0 || err != nil {
		return eventstore.Recorded{}, Permanent(fmt.Errorf("event id %q", eventID))
	}
	events, err := p.reads.Do(ctx, eventID[:cut])
	if err != nil {
		return eventstore.Recorded{}, fmt.Errorf("read event %s: %w", eventID, err)
	}
	if version < 1 || version > len(events) {
		return eventstore.Recorded{}, Permanent(fmt.Errorf("event %s is not in the log", eventID))
	}
	return events[version-1], nil
}

// postpone stores a task as waiting, or when to try it again if it is. What waits comes back after a crash too.
func (p *Processor) postpone(ctx context.Context, t task) error {
	_, err := p.DB.ExecContext(ctx, `
		INSERT INTO payment_retries (event_id, tries, due_at) VALUES ($1, $2, now() + $3::bigint * interval '1 millisecond')
		ON CONFLICT (event_id) DO UPDATE SET tries = greatest(payment_retries.tries, excluded.tries), due_at = excluded.due_at`,
		t.id, t.tries, p.Later.pause(t.tries).Milliseconds())
	if err != nil {
		return fmt.Errorf("postpone %s: %w", t.id, err)
	}
	return nil
}

// take leases what is due, and says how long it is until more will be.
func (p *Processor) take(ctx context.Context) (due []waiting, pause time.Duration, err error) {
	err = p.DB.SelectContext(ctx, &due, `
		UPDATE payment_retries r SET due_at = now() + $2::bigint * interval '1 millisecond'
		FROM (SELECT event_id FROM payment_retries WHERE due_at <= now()
			ORDER BY due_at, event_id LIMIT $1 FOR UPDATE SKIP LOCKED) AS first
		WHERE r.event_id = first.event_id
		RETURNING r.event_id, r.tries`, mostRetries, retryLease.Milliseconds())
	if err != nil {
		return nil, retryIdle, fmt.Errorf("read what waits: %w", err)
	}
	var next *int64
	err = p.DB.GetContext(ctx, &next, `SELECT ceil(extract(epoch FROM min(due_at) - now()) * 1000)::bigint FROM payment_retries`)
	if err != nil || next == nil {
		return due, retryIdle, err
	}
	return due, min(max(time.Duration(*next)*time.Millisecond, 0), retryIdle), nil
}
