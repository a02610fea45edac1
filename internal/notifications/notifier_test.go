package notifications_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"boxoffice/domain"
	"boxoffice/internal/notifications"
)

// memory is a sender that remembers what it told.
type memory struct {
	name string
	mu   sync.Mutex
	told []string
	do   func(n notifications.Notification) (notifications.Outcome, error) // nil: it works
}

func (m *memory) Name() string { return m.name }

func (*memory) Wants(context.Context, notifications.Notification) bool { return true }

func (m *memory) Send(_ context.Context, n notifications.Notification) (notifications.Outcome, error) {
	m.mu.Lock()
	m.told = append(m.told, n.ID)
	m.mu.Unlock()
	if m.do != nil {
		return m.do(n)
	}
	return notifications.Outcome{Result: notifications.Sent}, nil
}

func (m *memory) all() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.told)
}

// confirmed are orders that wait for their money, and the messages that say so.
func (w *world) confirmed(n int) []*message.Message {
	w.t.Helper()
	msgs := make([]*message.Message, n)
	for i := range msgs {
		o := w.place(fmt.Sprintf("buyer-%d@example.com", i), "")
		o.confirm()
		msgs[i] = o.is(domain.Confirmed)
	}
	return msgs
}

// eachOnce checks that everybody got one mail, with an id of its own.
func (w *world) eachOnce(n int) {
	w.t.Helper()
	perBuyer, perID := map[string]int{}, map[string]int{}
	for _, m := range w.server.Mails() {
		perBuyer[m.To[0]]++
		perID[m.ID]++
	}
	if len(perBuyer) != n || len(perID) != n || len(w.server.Mails()) != n {
		w.t.Errorf("%d mails with %d ids to %d buyers, want %d", len(w.server.Mails()), len(perID), len(perBuyer), n)
	}
}

func TestAMessageIsToldOnceHoweverOftenItComes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n, counts := w.notifier(w.mails())
	w.running(n)
	msg := w.confirmed(1)[0]
	w.hand(n, msg, msg, msg, msg, msg)
	w.awaitCount(`result = 'sent'`, 1)
	w.hand(n, msg, msg)
	other, _ := w.notifier(w.mails()) // another process, after a rebalance
	w.running(other)
	w.hand(other, msg)
	probe := w.confirmed(1)[0]
	w.hand(other, probe)
	w.awaitCount(`result = 'sent'`, 2)
	if len(w.server.Mails()) != 2 || counts.of("mail", notifications.Sent) > 2 {
		t.Errorf("%d mails", len(w.server.Mails()))
	}
}

func TestTwoProcessesShareTheWork(t *testing.T) {
	t.Parallel()
	const orders = 300
	w := newWorld(t)
	msgs := w.confirmed(orders)
	var done [2]*tally
	for i := range done {
		n, counts := w.notifier(w.mails())
		done[i] = counts
		w.hand(n, msgs...) // both get all of them
		w.running(n)
	}
	w.awaitCount(`result = 'sent'`, orders)
	w.eachOnce(orders)
	for i, counts := range done {
		if counts.of("mail", notifications.Sent) == 0 {
			t.Errorf("process %d had nothing to do", i)
		}
	}
}

func TestWhatIsOldIsNotTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n, counts := w.notifier(w.mails(), &memory{name: "other"})
	w.running(n)
	o := w.place("ana@example.com", "Ana")
	o.confirm()
	tellAt := func(version int64, age time.Duration) *message.Message {
		return tell(domain.OrderStream(o.id), version, map[string]any{"orderId": o.id, "status": "CONFIRMED", "previous": "PENDING", "at": time.Now().Add(-age)})
	}
	w.hand(n, tellAt(2, notifications.MaxAge+time.Minute), tellAt(3, 365*24*time.Hour))
	w.hand(n, tellAt(4, notifications.MaxAge-time.Minute))
	w.awaitCount(`result = 'sent'`, 2)
	if rows := w.count(`true`); rows != 2 || len(w.server.Mails()) != 1 {
		t.Errorf("%d rows, %d mails", rows, len(w.server.Mails()))
	}
	if counts.of("mail", notifications.Expired) != 2 || counts.of("other", notifications.Expired) != 2 {
		t.Errorf("%v", counts.n)
	}
}

func TestTellingEndsAfterADay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dead := &memory{name: "dead", do: func(notifications.Notification) (notifications.Outcome, error) {
		return notifications.Outcome{}, errors.New("not today")
	}}
	n, counts := w.notifier(dead)
	w.running(n)
	msgs := w.confirmed(1)
	w.hand(n, msgs...)
	eventually(t, "it was tried", func() string {
		if counts.of("dead", notifications.Retried) > 1 {
			return ""
		}
		return "it was not"
	})
	w.later(notifications.MaxAge + time.Second)
	w.awaitCount(`result = 'expired'`, 1)
	tried := len(dead.all())
	w.hand(n, msgs...)
	probe := w.confirmed(1)
	w.later(0)
	w.hand(n, probe...)
	eventually(t, "the next one is tried", func() string {
		if slices.Contains(dead.all(), probe[0].UUID) {
			return ""
		}
		return "it is not"
	})
	if again := slices.Contains(dead.all()[tried:], msgs[0].UUID); again || counts.of("dead", notifications.Expired) != 2 {
		t.Errorf("tried again %v, %v", again, counts.n)
	}
}

func TestOldRowsAreForgotten(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if _, err := w.db.ExecContext(t.Context(), `
		INSERT INTO notifications (sender, id, at, news, due_at, ended, result)
		SELECT 'other', 'old-' || i, now() - interval '8 days', '{}'::json, now() - interval '1 day', true, 'sent' FROM generate_series(1, 5000) AS i
		UNION ALL SELECT 'other', 'known', now() - interval '6 days', '{}', now() + interval '1 day', true, 'sent'`); err != nil {
		t.Fatal(err)
	}
	n, _ := w.notifier(&memory{name: "other"})
	w.running(n)
	w.awaitCount(`true`, 1)
}

func TestTheGaugeCountsWhatWaits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n, _ := w.notifier(&memory{name: "other"}, &memory{name: "busy", do: func(notifications.Notification) (notifications.Outcome, error) {
		return notifications.Outcome{}, errors.New("later")
	}})
	w.hand(n, w.confirmed(7)...)
	w.running(n)
	eventually(t, "seven wait", func() string {
		if n.Waiting("busy") != 7 {
			return fmt.Sprint(n.Waiting("busy"))
		}
		return ""
	})
}

func TestMessagesOfOthersAreDeadLetters(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n, _ := w.notifier(&memory{name: "other"})
	valid := func() *message.Message {
		return tell("order-ORDER-20261122-00000001", 1, map[string]any{"orderId": "ORDER-20261122-00000001", "status": "PENDING"})
	}
	for name, spoil := range map[string]func(m *message.Message){
		"no JSON":              func(m *message.Message) { m.Payload = []byte("{") },
		"JSON of another":      func(m *message.Message) { m.Payload = []byte(`{"status":7}`) },
		"too much":             func(m *message.Message) { m.Payload = []byte(`{"status":"` + strings.Repeat("x", 1<<16) + `"}`) },
		"no status":            func(m *message.Message) { m.Payload = []byte(`{"at":"2026-01-02T15:04:05Z"}`) },
		"no time":              func(m *message.Message) { m.Payload = []byte(`{"status":"PENDING"}`) },
		"an unknown type":      func(m *message.Message) { m.Metadata["ce_type"] = "boxoffice.Something.v1" },
		"a later version":      func(m *message.Message) { m.Metadata["ce_type"] = "boxoffice.StatusChanged.v2" },
		"no id":                func(m *message.Message) { delete(m.Metadata, "ce_id") },
		"an id with a NUL":     func(m *message.Message) { m.Metadata["ce_id"] = "a\x00b" },
		"an endless id":        func(m *message.Message) { m.Metadata["ce_id"] = strings.Repeat("x", 256) },
		"a version in words":   func(m *message.Message) { m.Metadata["boxoffice_version"] = "two" },
		"an id not in UTF-8":   func(m *message.Message) { m.Metadata["ce_id"] = "\xff" },
		"a time of the future": func(m *message.Message) { m.Payload = []byte(`{"status":"PENDING","at":"+12026-01-02T15:04:05Z"}`) },
	} {
		t.Run(name, func(t *testing.T) {
			msg := valid()
			spoil(msg)
			msg.SetContext(t.Context())
			err := n.Handle(msg)
			var permanent interface{ Permanent() bool }
			if !errors.As(err, &permanent) || !permanent.Permanent() {
				t.Errorf("%v", err)
			}
		})
	}
	w.hand(n, valid())
	if rows := w.count(`true`); rows != 1 {
		t.Errorf("%d rows", rows)
	}
}

func TestTheLogHasALinePerNotification(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var lines lockedLines
	counts := &tally{}
	n := notifications.New(notifications.Config{
		DB: w.db, Now: w.Now, Observe: counts.add,
		Direct: []notifications.Sender{notifications.NewLogSender(slog.New(slog.NewJSONHandler(&lines, nil)))},
	})
	w.running(n)
	o := w.place("ana@example.com", "Ana")
	o.confirm()
	rejected := tell("", 0, map[string]any{"status": "REJECTED", "code": "sold_out", "source": "shop", "commandId": "17\x00\n"})
	rejected.Metadata["ce_id"] = "notification:rejected-17"
	delete(rejected.Metadata, "boxoffice_version")
	old := tell(o.id, 1, map[string]any{"orderId": o.id, "status": "PENDING", "at": w.Now().Add(-25 * time.Hour)})
	w.hand(n, o.is(domain.Pending), o.is(domain.Confirmed), rejected, old)
	if sent, expired := counts.of("log", notifications.Sent), counts.of("log", notifications.Expired); sent != 3 || expired != 1 {
		t.Errorf("%d lines, %d too old", sent, expired)
	}
	if rows := w.count(`true`); rows != 0 {
		t.Errorf("lines took %d rows", rows)
	}
	text := lines.String()
	if strings.Count(text, "\n") != 3 || strings.Count(text, `"msg":"status changed"`) != 3 || strings.Contains(text, "ana@") {
		t.Errorf("lines:\n%s", text)
	}
	for _, want := range []string{
		`"status":"REJECTED","code":"sold_out","source":"shop","command":"17\u0000\n"`, `"status":"CONFIRMED","previous":"PENDING","order":"` + o.id + `"`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}

	silent := notifications.NewLogSender(slog.New(slog.NewJSONHandler(&lines, &slog.HandlerOptions{Level: slog.LevelWarn})))
	if silent.Wants(t.Context(), notifications.Notification{}) {
		t.Error("it wants what nobody reads")
	}
}

// lockedLines takes lines from many at once.
type lockedLines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lockedLines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lockedLines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
