package serve

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"
	"golang.org/x/sync/errgroup"

	"boxoffice/eventstore"
	"boxoffice/internal/messaging"
	"boxoffice/projections"
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

// unread is what a reader has not read of a partition.
type unread struct {
	next     place // the oldest of it
	messages int64
	applied  int64 // the last position that was read of the partition
}

// reader is a projection or a consumer with what it has not read. Those whose topics are not known are left out.
type reader struct {
	name   string
	kind   ReaderKind
	unread []unread
}

func (m *LagMeter) readers(progress eventstore.Progress) []reader {
	var all []reader
	at := map[string]map[messaging.Claim]eventstore.Checkpoint{}
	for _, c := range progress.Checkpoints {
		if at[c.Name] == nil {
			at[c.Name] = map[messaging.Claim]eventstore.Checkpoint{}
		}
		at[c.Name][messaging.Claim{Topic: c.Topic, Partition: c.Partition}] = c
	}
	for _, p := range projections.All() {
		bounds, known := m.ends.bounds[p.Definition().Topic]
		if !known {
			continue
		}
		r := reader{name: p.Definition().Name, kind: ProjectionReader}
		for _, b := range bounds {
			c := at[r.name][b.Claim]
			r.unread = behind(r.unread, b, c.NextOffset, c.Position)
		}
		all = append(all, r)
	}
	for _, group := range slices.Sorted(maps.Keys(consumers())) {
		committed, known := m.ends.committed[group]
		if !known {
			continue
		}
		r := reader{name: group, kind: ConsumerReader}
		for _, b := range m.ends.bounds[consumers()[group]] {
			r.unread = behind(r.unread, b, committed[b.Claim], -1)
		}
		all = append(all, r)
	}
	return all
}

// behind adds what of a partition is not read. A checkpoint beyond its end is one of another topic of that name,
// of which nothing counts.
func behind(all []unread, b messaging.Bounds, next, applied int64) []unread {
	if next > b.Newest {
		next = b.Oldest
	}
	next = max(next, b.Oldest)
	if next >= b.Newest {
		return all
	}
	return append(all, unread{place{b.Claim, next}, b.Newest - next, applied})
}

// oldest is the time of the oldest message that is not read; zero if there is none, or none could be looked at.
func (m *LagMeter) oldest(ctx context.Context, all []unread) (oldest time.Time, err error) {
	var mu sync.Mutex
	looking, ctx := errgroup.WithContext(ctx)
	looking.SetLimit(lagReads)
	found := map[place]time.Time{}
	note := func(p place, at time.Time) {
		mu.Lock()
		defer mu.Unlock()
		found[p] = at
	}
	for _, u := range all {
		if at, ok := m.known[u.next]; ok {
			note(u.next, at)
			continue
		}
		if m.gauge == nil {
			continue
		}
		looking.Go(func() error {
			at, err := m.gauge.TimeAt(ctx, u.next.Claim, u.next.offset)
			if err == nil {
				note(u.next, at)
			}
			return err
		})
	}
	err = looking.Wait()
	if len(m.known)+len(found) > lagTimings {
		clear(m.known)
	}
	maps.Copy(m.known, found)
	for _, at := range found {
		if oldest.IsZero() || at.Before(oldest) {
			oldest = at
		}
	}
	return oldest, err
}
