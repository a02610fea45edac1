package payments

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/jmoiron/sqlx"

	"boxoffice/domain"
	"boxoffice/eventstore"
	"boxoffice/internal/gather"
)

const (
	mostReads   = 256              // streams of one query
	readTimeout = 10 * time.Second // of one query
)

// ProcessorConfig is what the process needs. Quick, Later, Trace and Log may stay zero.
type ProcessorConfig struct {
	Gateway  string // its name, for what it is told to have refused
	Charger  Charger
	Refunder Refunder
	// Streams reads whole streams in one query: eventstore.Store.ReadStreams.
	Streams func(ctx context.Context, streams []string) (map[string][]eventstore.Recorded, error)
	Send    Sender
	Now     func() time.Time // the log's clock
	DB      *sqlx.DB         // keeps what has to be tried later
	Quick   Retry            // tries while the message is held; zero: 4, from 0.2 s apart
	Later   Retry            // all tries of a refund and the pauses of what waits; zero: 16, from 2 s to 10 min apart
	// Trace begins a span of a later try, in the trace of the event that asks for it; ended ends it. May be nil.
	Trace func(ctx context.Context, event eventstore.Recorded) (inner context.Context, ended func(error))
	Log   *slog.Logger // nil: says nothing
}

// Processor does at the gateway what payment events ask for, and sends what came of it as commands.
//
// A message says only that something may have to be done: the payment's stream is read before every call of the
// gateway, so a repeated or old message does nothing. A message is acked when its work is done, or when it is
// stored as waiting because the gateway can't do it now; Run does that later. So a gateway in trouble holds up
// nothing else of the partition, and whatever is under way when the process ends comes again.
type Processor struct {
	ProcessorConfig
	reads *gather.Runner[string, []eventstore.Recorded]
}

// NewProcessor makes a Processor. It does no I/O.
func NewProcessor(cfg ProcessorConfig) *Processor {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	cfg.Quick = cfg.Quick.or(Retry{Attempts: 4, First: 200 * time.Millisecond, Most: time.Second})
	cfg.Later = cfg.Later.or(Retry{Attempts: 16, First: 2 * time.Second, Most: 10 * time.Minute})
	p := &Processor{ProcessorConfig: cfg}
	p.reads = gather.New(mostReads, readTimeout, p.readMany)
	return p
}

// Handle does what one message of payment-settlement-topic asks for; it is a Watermill handler. Messages of
// other events are done at once. Many may be handled at a time, those of one payment one after another.
// Errors: permanent (errors.Is ErrPermanent, for the dead letters) for what can't be read; all others are
// transient, and the same message has to come again.
func (p *Processor) Handle(msg *message.Message) error {
	recorded, err := eventstore.FromMessage(msg)
	if err != nil {
		return Permanent(err)
	}
	task, err := newTask(recorded)
	if err != nil || task.event == nil {
		return err
	}
	ctx := msg.Context()
	err = p.Quick.do(ctx, func() error {
		task.tries++
		return p.act(ctx, task)
	})
	if _, gateway := errors.AsType[gatewayError](err); gateway {
		p.Log.WarnContext(ctx, "the gateway can't do this now, it is tried later", "event", task.id, "tries", task.tries, "error", err)
		return p.postpone(ctx, task)
	}
	return err
}

// newTask reads what an event asks for. A task without an event asks for nothing. Errors: permanent.
func newTask(recorded eventstore.Recorded) (task, error) {
	switch recorded.Type {
	case domain.PaymentRequested{}.EventType(), domain.PaymentExpired{}.EventType(), domain.RefundRequested{}.EventType():
	default:
		return task{}, nil
	}
	event, err := domain.Decode(recorded.Type, int(recorded.SchemaVersion), recorded.Data)
	if err != nil {
		return task{}, Permanent(fmt.Errorf("event %s: %w", recorded.ID(), err))
	}
	return task{id: recorded.ID(), event: event}, nil
}

// payment is the payment as the log has it now.
func (p *Processor) payment(ctx context.Context, paymentID string) (domain.Payment, error) {
	var pay domain.Payment
	events, err := p.reads.Do(ctx, domain.PaymentStream(paymentID))
	if err != nil {
		return pay, fmt.Errorf("read payment %s: %w", paymentID, err)
	}
	for i := range events {
		event, err := domain.Decode(events[i].Type, int(events[i].SchemaVersion), events[i].Data)
		if errors.Is(err, domain.ErrUnknownType) {
			continue // a newer program's; it changes nothing that is known here
		}
		if err != nil {
			return pay, Permanent(fmt.Errorf("event %s: %w", events[i].ID(), err))
		}
		pay.Evolve(event)
	}
	return pay, nil
}

func (p *Processor) readMany(ctx context.Context, streams []string) ([][]eventstore.Recorded, error) {
	found, err := p.Streams(ctx, streams)
	if err != nil {
		return nil, err
	}
	events := make([][]eventstore.Recorded, len(streams))
	for i, stream := range streams {
		events[i] = found[stream]
	}
	return events, nil
}

// send gives a command to the bus. A refusal means that the payment has moved on, which is fine.
func (p *Processor) send(ctx context.Context, t task, command domain.Command) error {
	err := p.Send(ctx, command, Origin{Actor: "system", Causation: t.id})
	if refusal, refused := errors.AsType[*domain.Rejection](err); refused {
		p.Log.DebugContext(ctx, "command refused", "event", t.id, "command", fmt.Sprintf("%T", command), "refusal", refusal.Error())
		return nil
	}
	if err != nil {
		return fmt.Errorf("send %T: %w", command, err)
	}
	return nil
}
