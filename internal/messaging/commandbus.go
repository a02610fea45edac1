package messaging

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/components/cqrs"
	"github.com/ThreeDotsLabs/watermill/message"
)

// commandName is the metadata key that carries a command's name.
const commandName = "name"

// NewCommandBus returns a command bus that sends by value, each kind of command on a topic of its name.
// Send returns what the handler returned, if the router has ReportErrors.
func NewCommandBus(publisher message.Publisher) (*cqrs.CommandBus, error) {
	return cqrs.NewCommandBusWithConfig(publisher, cqrs.CommandBusConfig{
		GeneratePublishTopic: func(p cqrs.CommandBusGeneratePublishTopicParams) (string, error) { return p.CommandName, nil },
		OnSend:               ValueMarshaler{}.OnSend,
		Marshaler:            ValueMarshaler{},
	})
}

// NewCommandProcessor returns the receiving side of NewCommandBus. Each handler subscribes to the topic of
// its command on subscriber, which is the same Bus.
func NewCommandProcessor(router *message.Router, subscriber message.Subscriber) (*cqrs.CommandProcessor, error) {
	return cqrs.NewCommandProcessorWithConfig(router, cqrs.CommandProcessorConfig{
		GenerateSubscribeTopic: func(p cqrs.CommandProcessorGenerateSubscribeTopicParams) (string, error) { return p.CommandName, nil },
		SubscriberConstructor: func(cqrs.CommandProcessorSubscriberConstructorParams) (message.Subscriber, error) {
			return subscriber, nil
		},
		Marshaler: ValueMarshaler{},
		Logger:    router.Logger(),
	})
}

// ValueMarshaler carries a command in the message's context instead of turning it into bytes and back; it
// works only inside a process. The sender sends a pointer to a struct, and the handler gets a shallow copy of
// that struct: what the fields point to is shared. So a command that wants an answer has a field that
// points to a struct for it; the handler fills that struct, and the sender may read it once Send has returned
// nil. It must not read it when Send returns its context's error: the handler may still be writing.
//
// The command bus replaces the context of what Marshal returns, so OnSend must be its OnSend.
type ValueMarshaler struct{}

type commandKey struct{}

// Marshal returns a message that names the command. Its value is added by OnSend.
func (m ValueMarshaler) Marshal(v any) (*message.Message, error) {
	if t := reflect.TypeOf(v); t == nil || t.Kind() != reflect.Pointer || reflect.ValueOf(v).IsNil() {
		return nil, fmt.Errorf("command %T is sent by value: send a pointer", v)
	}
	msg := message.NewMessage(watermill.NewUUID(), nil)
	msg.Metadata.Set(commandName, m.Name(v))
	return msg, nil
}

// OnSend puts the command into the message.
func (ValueMarshaler) OnSend(p cqrs.CommandBusOnSendParams) error {
	p.Message.SetContext(context.WithValue(p.Message.Context(), commandKey{}, p.Command))
	return nil
}

// Unmarshal copies the command that the message carries to *v.
func (ValueMarshaler) Unmarshal(msg *message.Message, v any) error {
	sent := msg.Context().Value(commandKey{})
	if sent == nil {
		return errors.New("the message carries no command: ValueMarshaler.OnSend is missing from the command bus")
	}
	from, to := reflect.ValueOf(sent), reflect.ValueOf(v)
	if from.Type() != to.Type() {
		return fmt.Errorf("the message carries %T, the handler takes %T", sent, v)
	}
	to.Elem().Set(from.Elem())
	return nil
}

// Name is what the command's method Name() string says, else the name of its type without its package.
func (ValueMarshaler) Name(v any) string {
	if named, ok := v.(interface{ Name() string }); ok {
		return named.Name()
	}
	t := reflect.TypeOf(v)
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t.Name()
}

// NameFromMessage is the name that Marshal gave the message.
func (ValueMarshaler) NameFromMessage(msg *message.Message) string {
	return msg.Metadata.Get(commandName)
}
