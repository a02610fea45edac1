package serve

import (
	"context"
	"errors"
	"fmt"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/message/router/middleware"
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
		return s.consumeNotifications(ctx, notifier)
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

func (s *service) consumeNotifications(ctx context.Context, notifier *notifications.Notifier) (err error) {
	router, err := message.NewRouter(message.RouterConfig{CloseTimeout: closeTimeout}, s.watermill())
	if err != nil {
		return fmt.Errorf("notifications router: %w", err)
	}
	deadLetters, err := s.single(ctx)
	if err != nil {
		return nil // ctx ended, which is no fault
	}
	defer func() { err = errors.Join(err, deadLetters.Close()) }()
	subscriber := messaging.NewWindowedSubscriber(s.kafka, messaging.WindowConfig{
		Group: "notifications", AnyOrder: true, DeadLetters: deadLetters, Log: s.Log, // each is a row of its own
	})
	router.AddMiddleware(messaging.ReportErrors, s.tracer.Continue, middleware.Recoverer)
	router.AddConsumerHandler("notifications", messaging.NotificationTopic, subscriber, notifier.Handle)
	return router.Run(ctx)
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
