// Package notifications tells people what became of their orders: it turns the messages of notification-topic
// into mails and log lines.
//
// A message becomes one row per sender and is done with; a worker per sender sends the rows. So a sender in
// trouble holds up nothing but itself, and what was told once is known when the message comes again. Only lines
// of the log go without a row: a line that comes twice harms nobody, and a row costs more than an order.
package notifications

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/jmoiron/sqlx"

	"boxoffice/internal/gather"
)

// MaxAge is how old news may be to be told. What is older is neither stored nor sent, so republishing an old log
// sends nothing, and a sender in trouble gives up after it.
const MaxAge = 24 * time.Hour

const (
	mostAdds   = 512              // messages that are stored together
	addTimeout = 10 * time.Second // for that
)

// Config is what a Notifier needs. Observe, Retry and Log may stay zero.
type Config struct {
	DB      *sqlx.DB         // keeps what is to be sent and what was
	Senders []Sender         // their names must differ
	Direct  []Sender         // tell each message as it comes, without a row: for what may be told again, and has no trouble
	Now     func() time.Time // the log's clock
	// Observe hears what became of a notification, as often as something did; it must not block.
	Observe func(sender string, result Result)
	Retry   Retry        // pauses before a notification is tried again; zero: 5 s, doubled up to 5 min
	Log     *slog.Logger // nil: says nothing
}

// Retry is how long to wait before something is tried again: First, and after each failure twice as long, up to Most.
type Retry struct{ First, Most time.Duration }

// pause is how long to wait after so many failures, 1, 2, 3 …
func (r Retry) pause(failures int) time.Duration {
	pause := r.First
	for n := 1; n < failures && pause < r.Most; n++ {
		pause *= 2
	}
	return min(pause, r.Most)
}

// Notifier stores what has to be told, and lets the senders tell it. Any number of processes may run one on the
// same database.
type Notifier struct {
	Config
	table   table
	adds    *gather.Runner[addition, struct{}]
	workers []*worker
}

// New makes a Notifier. It does no I/O.
func New(cfg Config) *Notifier {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Observe == nil {
		cfg.Observe = func(string, Result) {}
	}
	if cfg.Retry == (Retry{}) {
		cfg.Retry = Retry{First: 5 * time.Second, Most: 5 * time.Minute}
	}
	n := &Notifier{Config: cfg, table: table{cfg.DB}}
	n.adds = gather.New(mostAdds, addTimeout, n.table.add)
	for _, s := range cfg.Senders {
		n.workers = append(n.workers, &worker{
			sender: s, table: n.table, now: cfg.Now, observe: func(r Result) { cfg.Observe(s.Name(), r) },
			retry: cfg.Retry, log: cfg.Log.With("sender", s.Name()), wake: make(chan struct{}, 1), waiting: new(atomic.Int64),
		})
	}
	return n
}

// Handle stores one message of notification-topic for every sender that wants it; it is a Watermill handler.
// Errors: permanent, for the dead letters, for what can't be read; all others are transient, and the same message
// has to come again.
func (n *Notifier) Handle(msg *message.Message) error {
	news, err := Parse(msg)
	if err != nil {
		return permanent{err}
	}
	ctx := msg.Context()
	old := n.Now().Sub(news.At) > MaxAge
	for _, s := range n.Direct {
		if err := n.tell(ctx, s, news, old); err != nil {
			return err
		}
	}
	add := addition{news: news}
	for _, s := range n.Senders {
		switch {
		case !s.Wants(ctx, news):
		case old:
			n.Observe(s.Name(), Expired)
		default:
			add.senders = append(add.senders, s.Name())
		}
	}
	if len(add.senders) == 0 {
		return nil
	}
	if _, err := n.adds.Do(ctx, add); err != nil {
		return err
	}
	for _, w := range n.workers {
		w.nudge()
	}
	return nil
}

// tell lets a direct sender tell at once.
func (n *Notifier) tell(ctx context.Context, s Sender, news Notification, old bool) error {
	if !s.Wants(ctx, news) {
		return nil
	}
	outcome := Outcome{Result: Expired}
	if !old {
		var err error
		if outcome, err = s.Send(ctx, news); err != nil {
			n.Observe(s.Name(), Retried)
			return fmt.Errorf("tell %s by %s: %w", news.ID, s.Name(), err)
		}
	}
	n.Observe(s.Name(), outcome.Result)
	return nil
}

// Run sends what waits until ctx ends, and then finishes what is under way, for 3 s at most. It returns nil.
func (n *Notifier) Run(ctx context.Context) error {
	var running sync.WaitGroup
	for _, w := range n.workers {
		running.Go(func() { w.run(ctx) })
		running.Go(func() { w.keepHouse(ctx) })
	}
	running.Wait()
	return nil
}

// Waiting is how many notifications a sender has to send, as counted a while ago and up to 100,000.
func (n *Notifier) Waiting(sender string) int64 {
	for _, w := range n.workers {
		if w.sender.Name() == sender {
			return w.waiting.Load()
		}
	}
	return 0
}

// permanent has a method Permanent for transports, which send such a message to the dead letters.
type permanent struct{ error }

// Permanent says that repeating will not help.
func (permanent) Permanent() bool { return true }

// Unwrap makes the cause findable.
func (p permanent) Unwrap() error { return p.error }
