package notifications

import (
	"context"
	"log/slog"
)

// LogSender writes one line per notification.
type LogSender struct{ log *slog.Logger }

// NewLogSender makes a sender that writes at level info.
func NewLogSender(log *slog.Logger) *LogSender { return &LogSender{log} }

// Name is log.
func (*LogSender) Name() string { return "log" }

// Wants everything, as long as somebody reads lines of this level.
func (s *LogSender) Wants(ctx context.Context, _ Notification) bool {
	return s.log.Enabled(ctx, slog.LevelInfo)
}

// Send writes the line.
func (s *LogSender) Send(ctx context.Context, n Notification) (Outcome, error) {
	line := []slog.Attr{slog.String("notification", n.ID), slog.String("status", n.Status)}
	add := func(name, value string) {
		if value != "" {
			line = append(line, slog.String(name, value))
		}
	}
	add("previous", n.Previous)
	add("order", n.OrderID)
	add("payment", n.PaymentID)
	add("reason", n.Reason)
	add("code", n.Code)
	add("source", n.Source)
	add("command", n.CommandID)
	if n.ShowID != 0 {
		line = append(line, slog.Int64("show", n.ShowID))
	}
	s.log.LogAttrs(ctx, slog.LevelInfo, "status changed", append(line, slog.Time("at", n.At))...)
	return Outcome{Result: Sent}, nil
}
