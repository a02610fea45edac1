package notifications_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"boxoffice/domain"
	"boxoffice/internal/notifications"
	"boxoffice/internal/notifications/mailtest"
)

func TestADeadMailServerHoldsUpNothingElse(t *testing.T) {
	t.Parallel()
	for name, trouble := range map[string]func(w *world) (end func()){
		"it refuses connections": func(w *world) func() { w.server.Down(); return w.server.Up },
		"it does not answer":     func(w *world) func() { w.server.Hang(true); return func() { w.server.Hang(false) } },
		"it has a bad day": func(w *world) func() {
			w.server.Judge(func(string) error { return mailtest.Refuse(421, "try again later") })
			return func() { w.server.Judge(nil) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const orders = 40
			w := newWorld(t)
			other := &memory{name: "other"}
			n, counts := w.notifier(w.mails(), other)
			w.running(n)
			msgs := w.confirmed(orders)
			end := trouble(w)
			w.hand(n, msgs[:orders/2]...)
			eventually(t, "the server was tried", func() string {
				if w.server.Dialed() > 0 || counts.of("mail", notifications.Retried) > 0 {
					return ""
				}
				return "it was not"
			})
			w.hand(n, msgs[orders/2:]...)
			w.awaitCount(`sender = 'other' AND result = 'sent'`, orders)
			if sent := w.count(`sender = 'mail' AND ended`); sent != 0 {
				t.Fatalf("%d mails have ended while the server was away", sent)
			}
			end()
			w.awaitCount(`sender = 'mail' AND result = 'sent'`, orders)
			w.eachOnce(orders)
			if len(other.all()) != orders {
				t.Errorf("the other sender told %d", len(other.all()))
			}
		})
	}
}

func TestWhileNothingCanBeSentOnlyOneIsTried(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dead := &memory{name: "dead", do: func(notifications.Notification) (notifications.Outcome, error) {
		return notifications.Outcome{}, fmt.Errorf("%w: it is dead", notifications.ErrUnavailable)
	}}
	n, counts := w.notifier(dead)
	w.hand(n, w.confirmed(100)...)
	w.running(n)
	eventually(t, "a few were tried, and the others left alone", func() string {
		told, tried := counts.of("dead", notifications.Retried), w.count(`tries > 0`)
		if told < 3 || tried == 0 || tried > 12 {
			return fmt.Sprintf("%d tries of %d", told, tried)
		}
		return ""
	})
	if sent := w.count(`ended`); sent != 0 {
		t.Errorf("%d have ended", sent)
	}
}

func TestWhatTheServerSaysOfOneMailIsOfThatMailAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n, counts := w.notifier(w.mails())
	w.running(n)
	var greylisted atomic.Int32
	w.server.Judge(func(to string) error {
		switch {
		case strings.HasPrefix(to, "gone@"):
			return mailtest.Refuse(550, "no such user gone@example.com")
		case strings.HasPrefix(to, "grey@") && greylisted.Add(1) <= 3:
			return mailtest.Refuse(450, "come again, grey@example.com")
		default:
			return nil
		}
	})
	ids := map[string]string{}
	for _, name := range []string{"gone", "grey", "ana"} {
		o := w.place(name+"@example.com", "")
		o.confirm()
		msg := o.is(domain.Confirmed)
		ids[name] = msg.UUID
		w.hand(n, msg)
	}
	w.awaitCount(`ended`, 3)
	if got := w.result("mail", ids["gone"]); got != "failed: mail server answered 550 5.1.1 after sending SMTP RCPT TO command" {
		t.Errorf("gone: %s", got)
	}
	if got := w.result("mail", ids["grey"]); got != "sent" {
		t.Errorf("grey: %s", got)
	}
	if retried := counts.of("mail", notifications.Retried); retried != 3 || counts.of("mail", notifications.Failed) != 1 {
		t.Errorf("%v", counts.n)
	}
	if n := w.count(`reason LIKE '%@%' OR news::text LIKE '%@%'`); n != 0 {
		t.Errorf("%d rows name somebody", n)
	}
}

func TestAMailThatWasSentAndNotNotedComesAgainWithItsID(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	mails := w.mails()
	var sent atomic.Int32
	broken := &memory{name: "mail", do: func(n notifications.Notification) (notifications.Outcome, error) {
		outcome, err := mails.Send(t.Context(), n)
		if sent.Add(1) == 1 {
			panic("killed between the server's answer and the note")
		}
		return outcome, err
	}}
	n, _ := w.notifier(broken)
	w.running(n)
	w.hand(n, w.confirmed(1)...)
	w.awaitCount(`result = 'sent'`, 1)
	got := w.server.Mails()
	if len(got) != 2 || got[0].ID != got[1].ID {
		t.Errorf("%d mails", len(got))
	}
}

func TestWhatAKilledProcessHadClaimedIsSentByAnother(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	msgs := w.confirmed(3)
	n, _ := w.notifier(w.mails())
	w.hand(n, msgs...)
	// A process claimed them and is gone; its lease ends a moment later.
	if _, err := w.db.ExecContext(t.Context(), `UPDATE notifications SET tries = 1, due_at = now() + interval '1 second'`); err != nil {
		t.Fatal(err)
	}
	w.running(n)
	w.awaitCount(`result = 'sent' AND tries = 2`, 3)
	w.eachOnce(3)
}

func TestWhatIsUnderWayWhenTheProcessEndsIsFinished(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	begun, goOn := make(chan struct{}), make(chan struct{})
	slow := &memory{name: "slow", do: func(notifications.Notification) (notifications.Outcome, error) {
		close(begun)
		<-goOn
		return notifications.Outcome{Result: notifications.Sent}, nil
	}}
	n, _ := w.notifier(slow)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- n.Run(ctx) }()
	w.hand(n, w.confirmed(1)...)
	<-begun
	cancel()
	close(goOn)
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	w.awaitCount(`result = 'sent'`, 1)
}

func TestAServerThatHangsDoesNotHoldUpTheEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.server.Hang(true)
	n, _ := w.notifier(w.mails())
	stop := w.running(n)
	w.hand(n, w.confirmed(1)...)
	eventually(t, "the server is asked", func() string {
		if w.server.Dialed() > 0 {
			return ""
		}
		return "it is not"
	})
	began := time.Now()
	stop()
	if took := time.Since(began); took > 6*time.Second {
		t.Errorf("it took %s", took)
	}
	if rows := w.count(`NOT ended`); rows != 1 {
		t.Errorf("%d wait", rows)
	}
}
