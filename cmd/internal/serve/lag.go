package serve

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"boxoffice/eventstore"
	"boxoffice/internal/messaging"
)

// Limits of a LagMeter.
const (
	lagReads   = 8    // messages whose age is looked up together
	lagTimings = 1024 // remembered ages of messages
)

// ReaderKind says what a reader of the log is.
type ReaderKind string

// The kinds of readers.
const (
	RelayReader      ReaderKind = "relay"      // publishes the log to Kafka
	ProjectionReader ReaderKind = "projection" // feeds a read model; its checkpoint is in Postgres
	ConsumerReader   ReaderKind = "consumer"   // acts on messages; its checkpoint is its group's in Kafka
)

// Lag is how far one reader is behind.
type Lag struct {
	Reader string
	Kind   ReaderKind
	// Position of the log up to which everything has been read; of a consumer -1, because Kafka does not know it.
	Position int64
	// Events that it has not read: messages that wait in its topic, and all events that the relay has not
	// published, of which some may not be for it.
	Events int64
	Age    time.Duration // of the oldest of them; 0 when there are none
}

// LagReport is how far all readers are, at one moment.
type LagReport struct {
	At     time.Time // the database's time
	Head   int64     // last position of the log
	HeadAt time.Time // time of the last append
	Lags   []Lag     // the relay's first
	// Kafka is why the brokers could not be asked; then projections and consumers are as far behind as they were
	// when they last could be, or missing.
	Kafka error
	// DeadLetters is how many dead letters nobody has sent again or discarded; -1 if it is not known.
	DeadLetters int64
}

// consumers are the groups that act on messages, and what they read.
func consumers() map[string]string {
	return map[string]string{
		"payments": messaging.PaymentsTopic, "notifications": messaging.NotificationTopic, commandsGroup: messaging.CommandsTopic,
	}
}

// LagMeter measures how far the relay, projections and consumers are behind. It belongs to one goroutine.
type LagMeter struct {
	db    *sqlx.DB
	store *eventstore.Store
	kafka messaging.Config
	gauge *messaging.Gauge // nil: not connected
	ends  ends             // when they could last be asked
	known map[place]time.Time
}

// ends are where topics end and how far groups have come.
type ends struct {
	bounds    map[string][]messaging.Bounds        // by topic
	committed map[string]map[messaging.Claim]int64 // by group
}

// place is one message.
type place struct {
	messaging.Claim
	offset int64
}

// NewLagMeter makes a meter. It connects when it measures.
func NewLagMeter(db *sqlx.DB, kafka messaging.Config) *LagMeter {
	return &LagMeter{db: db, store: eventstore.New(db, eventstore.Config{}), kafka: kafka, known: map[place]time.Time{}}
}

// Close closes the connections to Kafka.
func (m *LagMeter) Close() error {
	if m.gauge == nil {
		return nil
	}
	err := m.gauge.Close()
	m.gauge = nil
	return err
}

// Measure asks Kafka first and Postgres then, so what is published and read meanwhile does not count as lag.
// An error means that Postgres could not be asked; Kafka's is in the report.
func (m *LagMeter) Measure(ctx context.Context) (LagReport, error) {
	asked := m.ask(ctx)
	progress, err := m.store.Progress(ctx)
	if err != nil {
		return LagReport{}, err
	}
	report := LagReport{At: progress.At, Head: progress.Head, HeadAt: progress.HeadAt, DeadLetters: -1, Lags: []Lag{
		{"relay", RelayReader, progress.Relayed, progress.Unpublished(), progress.Waiting()},
	}}
	for _, r := range m.readers(progress) {
		lag := Lag{r.name, r.kind, progress.Relayed, progress.Unpublished(), progress.Waiting()}
		if r.kind == ConsumerReader {
			lag.Position = -1
		}
		if r.name == commandsGroup { // what it reads does not come from the log
			lag.Events, lag.Age = 0, 0
		}
		oldest, err := m.oldest(ctx, r.unread)
		asked = cmp.Or(asked, err)
		if !oldest.IsZero() {
			lag.Age = max(lag.Age, progress.At.Sub(oldest))
		}
		for _, u := range r.unread {
			lag.Events += u.messages
			lag.Position = min(lag.Position, u.applied)
		}
		report.Lags = append(report.Lags, lag)
	}
	if letters, ok := m.ends.bounds[messaging.DeadLetterTopic]; ok {
		if report.DeadLetters, err = m.deadLetters(ctx, letters); err != nil {
			return LagReport{}, err
		}
	}
	report.Kafka = asked
	return report, nil
}

// deadLetters counts those within the topic's bounds that nobody is done with.
func (m *LagMeter) deadLetters(ctx context.Context, letters []messaging.Bounds) (int64, error) {
	var partitions, oldest, newest []int64
	var all, done int64
	for _, b := range letters {
		partitions, oldest, newest = append(partitions, int64(b.Partition)), append(oldest, b.Oldest), append(newest, b.Newest)
		all += b.Newest - b.Oldest
	}
	if all == 0 {
		return 0, nil
	}
	err := m.db.GetContext(ctx, &done, `SELECT count(DISTINCT (d.letter_partition, d.letter_offset)) FROM dead_letters_done AS d
		JOIN unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS b (partition, oldest, newest)
		ON d.letter_partition = b.partition AND d.letter_offset >= b.oldest AND d.letter_offset < b.newest`,
		eventstore.Int8Array(partitions), eventstore.Int8Array(oldest), eventstore.Int8Array(newest))
	if err != nil {
		return 0, fmt.Errorf("count dead letters: %w", err)
	}
	return all - done, nil
}

// ask learns where topics end. What it can't learn stays as it was.
func (m *LagMeter) ask(ctx context.Context) (err error) {
	if m.gauge == nil {
		if m.gauge, err = messaging.OpenGauge(m.kafka); err != nil {
			return err
		}
	}
	now := ends{map[string][]messaging.Bounds{}, map[string]map[messaging.Claim]int64{}}
	for _, topic := range messaging.Topics() {
		if now.bounds[topic], err = m.gauge.Bounds(ctx, topic); err != nil {
			return errors.Join(fmt.Errorf("ends of %s: %w", topic, err), m.Close()) // the next time with new connections
		}
	}
	for group, topic := range consumers() {
		committed, failed := m.gauge.Committed(group, topic, now.bounds[topic])
		if failed != nil {
			err, committed = errors.Join(err, failed), m.ends.committed[group] // the others are known nevertheless
		}
		if committed != nil {
			now.committed[group] = committed
		}
	}
	m.ends = now
	return err
}
