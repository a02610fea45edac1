package commands

import (
	"context"
	"fmt"
	"reflect"

	"github.com/ThreeDotsLabs/watermill/components/cqrs"

	"boxoffice/domain"
)

// Sent is a command on the command bus: with where it comes from, and the place for its answer.
type Sent[C domain.Command] struct {
	Command C
	Origin  Origin
	Answer  *Answer // filled by the handler before the bus returns
}

// Name is the command's name and the topic it travels on.
func (*Sent[C]) Name() string {
	var c C
	return commandName(c)
}

// kind is one kind of command: what handles it, and how it is put on the bus.
type kind struct {
	handler func(*Writer) cqrs.CommandHandler
	pack    func(domain.Command, Origin, *Answer) any
}

func kindOf[C domain.Command]() (reflect.Type, kind) {
	return reflect.TypeFor[C](), kind{
		handler: func(w *Writer) cqrs.CommandHandler {
			return cqrs.NewCommandHandler((*Sent[C])(nil).Name(), func(ctx context.Context, s *Sent[C]) (err error) {
				*s.Answer, err = w.Do(ctx, s.Command, s.Origin)
				return err
			})
		},
		pack: func(c domain.Command, o Origin, a *Answer) any { return &Sent[C]{Command: c.(C), Origin: o, Answer: a} },
	}
}

// kinds are all commands.
func kinds() map[reflect.Type]kind {
	all := map[reflect.Type]kind{}
	add := func(t reflect.Type, k kind) { all[t] = k }
	add(kindOf[domain.PlaceOrder]())
	add(kindOf[domain.RequestPayment]())
	add(kindOf[domain.CancelOrder]())
	add(kindOf[domain.RecordInstruction]())
	add(kindOf[domain.SettlePayment]())
	add(kindOf[domain.FailPayment]())
	add(kindOf[domain.EndDue]())
	add(kindOf[domain.ReturnTickets]())
	add(kindOf[domain.RecordRefund]())
	add(kindOf[domain.ResolveOpenItem]())
	add(kindOf[domain.DiscardStream]())
	add(kindOf[domain.CreateShow]())
	add(kindOf[domain.ChangeShow]())
	add(kindOf[domain.AddTicketType]())
	add(kindOf[domain.ChangeTicketType]())
	add(kindOf[domain.PauseSales]())
	add(kindOf[domain.ResumeSales]())
	add(kindOf[domain.CancelShow]())
	return all
}

// Handlers are the command handlers of a writer, one for each kind of command, for a cqrs.CommandProcessor.
func Handlers(w *Writer) []cqrs.CommandHandler {
	var handlers []cqrs.CommandHandler
	for _, k := range kinds() {
		handlers = append(handlers, k.handler(w))
	}
	return handlers
}

// NewSender sends commands on a command bus and waits for their answers.
func NewSender(bus *cqrs.CommandBus) Sender {
	all := kinds()
	return func(ctx context.Context, c domain.Command, o Origin) (Answer, error) {
		k, ok := all[reflect.TypeOf(c)]
		if !ok {
			return Answer{}, fmt.Errorf("send %T: not a command of the bus", c)
		}
		answer := new(Answer)
		if err := bus.Send(ctx, k.pack(c, o, answer)); err != nil {
			return Answer{}, err
		}
		return *answer, nil
	}
}
