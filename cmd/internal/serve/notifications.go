package serve

import (
	"context"
	"fmt"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/prometheus/client_golang/prometheus"

	"boxoffice/internal/messaging"
	"boxoffice/internal/notifications"
)

// startNotifications consumes what changed, and lets the senders tell it.
func (s *service) startNotifications(front start) error {
	senders, err := s.senders()
	if err != nil {
		return err
	}
	lines := notifications.NewLogSender(s.Log)
	results := s.metrics.notifications(append([]notifications.Sender{lines}, senders...))
	notifier := notifications.New(notifications.Config{
		DB: s.reads, Senders: senders, Direct: []notifications.Sender{lines}, Now: s.readStore.Now, Observe: results, Log: s.Log,
	})
	for _, sender := range senders {
		s.metrics.waitingNotifications(sender.Name(), notifier.Waiting)
	}
	front("notification senders", notifier.Run)
	front("notifications", s.withTopics(func(ctx context.Context) error {
		return s.consume(ctx, "notifications", messaging.NotificationTopic, func(message.Publisher) consumer {
			return consumer{
				window:     messaging.WindowConfig{Group: "notifications", AnyOrder: true}, // each is a row of its own
				middleware: []message.HandlerMiddleware{s.tracer.Continue}, handle: notifier.Handle,
			}
		})
	}))
	return nil
}

// senders are all that tell people anything. A new one is one file in internal/notifications and one line here.
func (s *service) senders() (all []notifications.Sender, err error) {
	if s.Config.SMTPURL != "" {
		letters := notifications.NewLetters(notifications.LetterConfig{
			Store: s.readStore, Shows: notifications.NewShows(s.reads), TicketCode: s.secrets.tokens.TicketCode, Now: s.readStore.Now,
		})
		mails, err := notifications.NewMailSender(notifications.MailConfig{
			URL: s.Config.SMTPURL.Reveal(), From: s.Config.MailFrom, Letters: letters,
		})
		if err != nil {
			return nil, fmt.Errorf("SMTP_URL and MAIL_FROM: %w", err)
		}
		all = append(all, mails)
	}
	return all, nil
}

// notifications counts what became of notifications, by sender.
func (m *metrics) notifications(senders []notifications.Sender) func(sender string, result notifications.Result) {
	results := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "boxoffice_notifications_total", Help: "Notifications by sender and by what became of them; one that is tried again counts as retried each time.",
	}, []string{"sender", "result"})
	for _, sender := range senders {
		for _, result := range notifications.Results() {
			results.WithLabelValues(sender.Name(), string(result)) // there from the start, so that a rate has a beginning
		}
	}
	m.registry.MustRegister(results)
	return func(sender string, result notifications.Result) {
		results.WithLabelValues(sender, string(result)).Inc()
	}
}

// waitingNotifications shows how many a sender has still to send.
func (m *metrics) waitingNotifications(sender string, waiting func(sender string) int64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "boxoffice_notifications_waiting", ConstLabels: prometheus.Labels{"sender": sender},
		Help: "Notifications to be sent, in all processes, as counted within 15 s; 100,000 means that many or more.",
	}, func() float64 { return float64(waiting(sender)) }))
}
