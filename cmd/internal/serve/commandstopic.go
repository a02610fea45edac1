package serve

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/message/router/middleware"
	"github.com/prometheus/client_golang/prometheus"

	"boxoffice/commands"
	"boxoffice/domain"
	"boxoffice/eventstore"
	"boxoffice/internal/messaging"
)

// commandsGroup is the consumer group that reads commands-topic; all processes with the role api share it.
const commandsGroup = "commands"

// startCommandsTopic takes commands from clients that speak Kafka.
func (s *service) startCommandsTopic(front start) {
	handled := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "boxoffice_commands_topic_total", Help: "Messages of commands-topic by what became of them.",
	}, []string{"command", "result"})
	s.metrics.registry.MustRegister(handled)
	count := func(command, result string) { handled.WithLabelValues(command, result).Inc() }
	front("commands topic", s.whenDeciding(s.withTopics(func(ctx context.Context) error {
		return s.consume(ctx, "commands topic", messaging.CommandsTopic, func(told message.Publisher) consumer {
			return s.intake(told, count)
		})
	})))
}

// intake is the consumer of commands-topic; told carries refusals and dead letters.
func (s *service) intake(told message.Publisher, count func(command, result string)) consumer {
	intake := commands.NewIntake(commands.IntakeConfig{
		Door: s.door(), Count: count,
		Announce: func(ctx context.Context, r commands.Refusal) error {
			msg, err := refusalMessage(r)
			if err != nil {
				return err
			}
			msg.SetContext(ctx)
			return told.Publish(messaging.NotificationTopic, msg)
		},
	})
	return consumer{
		window:     messaging.WindowConfig{Group: commandsGroup, AnyOrder: true, Tries: 1},
		decorators: []message.SubscriberDecorator{message.MessageTransformSubscriberDecorator(intake.Line)},
		middleware: []message.HandlerMiddleware{s.tracer.Begin, buryPanics}, handle: intake.Handle,
	}
}

// buryPanics sends a message that makes its handler panic to the dead letters: it would do so for ever, and
// everything behind it would wait.
func buryPanics(next message.HandlerFunc) message.HandlerFunc {
	return func(msg *message.Message) ([]*message.Message, error) {
		produced, err := next(msg)
		if _, panicked := errors.AsType[middleware.RecoveredPanicError](err); panicked {
			err = messaging.Permanent(err)
		}
		return produced, err
	}
}

// rejected is the status in the notification of a refused command. It is no order's status: nothing has moved.
const rejected = "REJECTED"

// refusal tells the sender of a message of commands-topic that it was refused.
type refusal struct {
	OrderID   string      `json:"orderId,omitempty"` // of a cancellation
	Status    string      `json:"status"`
	Code      domain.Code `json:"code"`
	Detail    string      `json:"detail,omitempty"`
	ShowID    int64       `json:"showId,omitempty"` // of a placement
	At        time.Time   `json:"at"`
	Source    string      `json:"source"`    // ce_source of the message
	CommandID string      `json:"commandId"` // its ce_id
}

// refusalMessage is the refusal on its way, with an id that follows from the command's, from what it asked for
// and from the answer: only a message that comes again and is refused again has the same id. Its key is the order's id, or the command's, so that the refusals of a
// show that is sold out are spread over the partitions.
func refusalMessage(r commands.Refusal) (*message.Message, error) {
	body, err := json.Marshal(refusal{
		OrderID: r.OrderID, Status: rejected, Code: r.Code, Detail: r.Detail, ShowID: r.ShowID, At: r.At.UTC(),
		Source: r.Reference.Source, CommandID: r.Reference.ID,
	})
	if err != nil {
		return nil, fmt.Errorf("encode a refusal: %w", err)
	}
	key, subject := r.Reference.ID, domain.ShowStream(r.ShowID)
	if r.OrderID != "" {
		key, subject = r.OrderID, domain.OrderStream(r.OrderID)
	}
	id := eventstore.NewRequestKey(messaging.CommandsTopic+" "+string(r.Code), r.Reference.String(), string(r.Asked[:]))
	msg := message.NewMessage("rejected:"+id.String(), body)
	msg.Metadata = message.Metadata{
		messaging.KeyMetadata:        key,
		eventstore.HeaderSpecVersion: "1.0",
		eventstore.HeaderID:          msg.UUID,
		eventstore.HeaderType:        statusChanged,
		eventstore.HeaderSource:      "/boxoffice",
		eventstore.HeaderSubject:     subject,
		eventstore.HeaderTime:        r.At.UTC().Format(time.RFC3339Nano),
		eventstore.HeaderContentType: "application/json",
	}
	return msg, nil
}

// commandOf is the message of commands-topic that caused an event, empty if none did.
func commandOf(e eventstore.Recorded) (source, id string) {
	if !bytes.Contains(e.Metadata, []byte(`"causation":`)) {
		return "", "" // nearly always; decoding costs more
	}
	var m eventstore.Metadata
	if json.Unmarshal(e.Metadata, &m) != nil {
		return "", "" // the relay does not stop because of it
	}
	r, _ := commands.ParseReference(m.Causation)
	return r.Source, r.ID
}
