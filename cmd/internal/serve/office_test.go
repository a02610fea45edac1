package serve_test

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/jmoiron/sqlx"

	"boxoffice/cmd/internal/config"
	"boxoffice/cmd/internal/serve"
	"boxoffice/domain"
	"boxoffice/eventstore"
	"boxoffice/internal/devstack"
	"boxoffice/internal/httpapi/openapitest"
	"boxoffice/internal/messaging"
	"boxoffice/projections/verify"
)

const (
	operatorKey   = "operator-key-of-the-tests"
	webhookSecret = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
	longHold      = 15 * time.Minute
	patience      = 20 * time.Second // of a test that waits for something
	stopLimit     = 10 * time.Second // a process must have ended by then
)

// office is a log, a broker and the processes that serve on them.
type office struct {
	t         *testing.T
	holdTTL   time.Duration
	url       string       // of the database
	mails     string       // URL of the mail server; empty: nobody is written to
	traces    string       // where traces go; empty: there are none
	lines     slog.Handler // of the processes' logs; nil: warnings go to the test's output
	db        *sqlx.DB
	store     *eventstore.Store
	kafka     messaging.Config
	http      *http.Client
	processes []*process
	proved    int64 // the head at which the last audit found nothing
}

// open gives a test an office without any process. When the test ends, what the log says is proved, and
// everything is stopped.
func open(t *testing.T, holdTTL time.Duration) *office {
	t.Helper()
	return openOn(t, devstack.Postgres(t).URL, devstack.Kafka(t), holdTTL)
}

func openOn(t *testing.T, url string, kafka *devstack.TestKafka, holdTTL time.Duration) *office {
	t.Helper()
	db, err := eventstore.OpenDB(url, 4)
	if err != nil {
		t.Fatal(err)
	}
	o := &office{
		t: t, holdTTL: holdTTL, url: url, db: db, store: eventstore.New(db, eventstore.Config{}),
		kafka: messaging.Config{Brokers: kafka.Brokers, TopicPrefix: kafka.Prefix},
		http: &http.Client{
			Timeout:   30 * time.Second,
			Transport: openapitest.NewTransport(t, &http.Transport{MaxIdleConnsPerHost: 512}),
		},
	}
	t.Cleanup(o.close)
	return o
}

// running gives a test an office with one process that does everything.
func running(t *testing.T, holdTTL time.Duration) (*office, *process) {
	t.Helper()
	o := open(t, holdTTL)
	return o, o.start("one", config.AllRoles()...)
}

func (o *office) close() {
	if len(o.processes) > 0 && !o.isProved() {
		o.audit()
	}
	for _, p := range o.processes {
		p.stop()
	}
	o.http.CloseIdleConnections()
	if err := o.db.Close(); err != nil {
		o.t.Error(err)
	}
}

// process is one running process and a client of its HTTP.
type process struct {
	client
	metrics string // URL
	cancel  context.CancelFunc
	ended   chan struct{}
	err     error // how it ended; read after ended
}

// start runs a process with some roles, and does not wait until it answers.
func (o *office) start(name string, roles ...config.Role) *process {
	o.t.Helper()
	ctx := context.WithoutCancel(o.t.Context()) // it serves until it is told to stop
	listener, metrics := listen(o.t), listen(o.t)
	url := "http://" + listener.Addr().String()
	ctx, cancel := context.WithCancel(ctx)
	p := &process{
		client: client{o: o, url: url}, metrics: "http://" + metrics.Addr().String(), cancel: cancel, ended: make(chan struct{}),
	}
	o.processes = append(o.processes, p)
	options := serve.Options{
		Config: config.Config{
			DatabaseURL: config.URL(o.url),
			Kafka: config.Kafka{
				Brokers: o.kafka.Brokers, TopicPrefix: o.kafka.TopicPrefix, Partitions: 4, Replication: 1, CreateTopics: true,
			},
			InstanceID: name, PublicURL: url,
			SecretKeys:     config.Secrets{"0123456789abcdef0123456789abcdef"},
			OperatorKeys:   config.OperatorKeys{{Name: "ana", Role: config.Admin, Key: operatorKey}},
			PaymentGateway: "simulator", WebhookSecrets: config.Secrets{webhookSecret},
			HoldTTL: o.holdTTL, Roles: roles, MigrateAtStart: true,
			SMTPURL: config.URL(o.mails), MailFrom: "Boxoffice <tickets@box.example>",
			OTLPEndpoint: o.traces,
		},
		Log:      slog.New(slog.NewTextHandler(o.t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})).With("process", name),
		Listener: listener, Metrics: metrics,
	}
	if o.lines != nil {
		options.Log = slog.New(o.lines)
	}
	go func() {
		defer close(p.ended)
		p.err = serve.Run(ctx, options)
	}()
	return p
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return listener
}

// stop tells a process to end and waits until it has. A second call finds it ended.
func (p *process) stop() {
	p.o.t.Helper()
	p.cancel()
	select {
	case <-p.ended:
	case <-time.After(stopLimit):
		p.o.t.Errorf("a process had not ended %s after it was told to", stopLimit)
		<-p.ended
	}
	if p.err != nil {
		p.o.t.Errorf("a process ended with %v", p.err)
	}
}

// audit proves the invariants from the log, and that read models and topics say what the log says.
func (o *office) audit() verify.Report {
	o.t.Helper()
	ctx := context.WithoutCancel(o.t.Context()) // it is called by Cleanup too
	report, err := verify.Run(ctx, o.db, verify.Config{
		Wait: patience,
		Topics: func(ctx context.Context, topic string, fn func(int32, int64, *message.Message) error) error {
			return messaging.ReadTopic(ctx, o.kafka, topic, func(partition int32, m messaging.Message) error {
				return fn(partition, m.Offset, m.Message)
			})
		},
	})
	if err != nil {
		o.t.Errorf("audit: %v", err)
	}
	if err == nil && report.Ok() {
		o.proved = report.Head.Position
	}
	if !report.Ok() {
		o.t.Errorf("the audit found %d faults: %+v", report.Found, report.Findings[:min(10, len(report.Findings))])
	}
	return report
}

// isProved reports whether the log is still the one that the last audit proved.
func (o *office) isProved() bool {
	head, err := o.store.Head(context.WithoutCancel(o.t.Context()))
	return err == nil && head.Position == o.proved
}

// eventsOf reads all events of one type, oldest first.
func eventsOf[E domain.Event](o *office) []E {
	o.t.Helper()
	var zero E
	var found []E
	for after := int64(0); ; {
		page, err := o.store.ReadAll(o.t.Context(), after, 5000)
		if err != nil {
			o.t.Fatal(err)
		}
		if len(page) == 0 {
			return found
		}
		for _, r := range page {
			if r.Type != zero.EventType() {
				continue
			}
			e, err := domain.Decode(r.Type, int(r.SchemaVersion), r.Data)
			if err != nil {
				o.t.Fatal(err)
			}
			found = append(found, e.(E))
		}
		after = page[len(page)-1].Position
	}
}

func (o *office) head() int64 {
	o.t.Helper()
	head, err := o.store.Head(o.t.Context())
	if err != nil {
		o.t.Fatal(err)
	}
	return head.Position
}

// number is what a query counts.
func (o *office) number(query string, args ...any) int64 {
	o.t.Helper()
	var n int64
	if err := o.db.GetContext(o.t.Context(), &n, query, args...); err != nil {
		o.t.Fatalf("%s: %v", strings.Join(strings.Fields(query), " "), err)
	}
	return n
}

// eventually looks until something is so, at first often. What is not so yet says why.
func eventually(t *testing.T, what string, so func() string) {
	t.Helper()
	within(t, patience, what, so)
}

func within(t *testing.T, limit time.Duration, what string, so func() string) {
	t.Helper()
	end := time.Now().Add(limit)
	for pause := 2 * time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		not := so()
		if not == "" {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s: not within %s: %s", what, limit, not)
		}
		<-time.After(pause)
	}
}
