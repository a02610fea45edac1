package notifications_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"boxoffice/internal/notifications"
)

func Example() {
	// The relay has published that an order is paid …
	msg := message.NewMessage("1", []byte(`{"orderId":"ORDER-20250205-338aa78d","status":"COMPLETED","previous":"CONFIRMED","showId":1,"at":"2025-02-05T12:00:00Z"}`))
	msg.Metadata = message.Metadata{
		"ce_id": "notification:order-ORDER-20250205-338aa78d:3", "ce_type": notifications.StatusChanged,
		"ce_subject": "order-ORDER-20250205-338aa78d", "boxoffice_version": "3",
	}
	news, err := notifications.Parse(msg)
	if err != nil {
		fmt.Println(err)
		return
	}

	// … and a sender tells it.
	withoutTime := func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}
	log := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: withoutTime}))
	outcome, err := notifications.NewLogSender(log).Send(context.Background(), news)
	fmt.Println(outcome.Result, err, time.Since(news.At) > notifications.MaxAge)
	// Output:
	// level=INFO msg="status changed" notification=notification:order-ORDER-20250205-338aa78d:3 status=COMPLETED previous=CONFIRMED order=ORDER-20250205-338aa78d show=1 at=2025-02-05T12:00:00.000Z
	// sent <nil> true
}
