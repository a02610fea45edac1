package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"boxoffice/cmd/internal/serve"
	"boxoffice/internal/messaging"
)

const (
	manyCopies = 3 // from so many copies on, two must have a message before it counts as written
	slow       = time.Minute
)

// checkKafka looks at the brokers and topics.
func (d *doctor) checkKafka(ctx context.Context, cfg messaging.Config) {
	ctx, cancel := context.WithTimeout(ctx, checkLimit)
	defer cancel()
	where := "Kafka at " + strings.Join(cfg.Brokers, ",")
	gauge, err := messaging.OpenGauge(cfg)
	if err != nil {
		d.unreached("kafka", where, err)
		return
	}
	defer func() { _ = gauge.Close() }() // nothing was written
	states, brokers, err := gauge.Inspect(ctx, messaging.Topics()...)
	if err != nil {
		d.fail("kafka", "", "%v", err)
		return
	}
	if asked := strings.Join(cfg.Brokers, ","); brokers < manyCopies {
		d.warn("kafka", "run 3 brokers, with 3 copies of each partition",
			"%d brokers, first asked at %s; with one away nothing may be published, though orders go on", brokers, asked)
	} else {
		d.ok("kafka", "%d brokers, first asked at %s", brokers, asked)
	}
	for _, state := range states {
		d.checkTopic(state, cfg, brokers)
	}
}

func (d *doctor) checkTopic(s messaging.TopicState, cfg messaging.Config, brokers int) {
	name := "topic " + cfg.TopicPrefix + s.Topic
	switch {
	case !s.Exists && cfg.CreateTopics:
		d.warn(name, "start boxoffice serve, which makes it", "is not there yet")
		return
	case !s.Exists:
		d.fail(name, "make it, or set KAFKA_CREATE_TOPICS=true", "is not there")
		return
	case s.Leaderless > 0:
		d.fail(name, "bring the brokers back", "%d of %d partitions have no leader", s.Leaderless, s.Partitions)
		return
	}
	keeps := "for ever"
	if !s.KeepsForever {
		keeps = "for an unknown time"
		if s.Retention >= 0 {
			keeps = "for " + (time.Duration(s.Retention) * time.Millisecond).String()
		}
	}
	what := fmt.Sprintf("%d partitions, %d copies, kept %s", s.Partitions, s.Replication, keeps)
	events := slices.Contains(messaging.EventTopics(), s.Topic)
	switch {
	case s.MaxMessage >= 0 && s.MaxMessage < messaging.Largest:
		d.fail(name, fmt.Sprintf("set max.message.bytes to %d or more", messaging.Largest), "%s; it refuses batches above %d bytes", what, s.MaxMessage)
	case s.Compacted:
		d.fail(name, "set cleanup.policy = delete", "%s; it removes all but the last message of a key", what)
	case s.Replication > 1 && s.MinInSync >= 0 && int64(s.Replication) <= s.MinInSync:
		d.warn(name, "set min.insync.replicas below the number of copies", "%s; without any one broker nothing is written", what)
	case s.Replication >= manyCopies && s.MinInSync == 1:
		d.warn(name, "set min.insync.replicas = 2", "%s; one copy is enough for a message to count as written", what)
	case events && !s.KeepsForever && s.MinInSync >= 0: // settings that are not told are no reason
		d.warn(name, "set retention.ms = -1 and retention.bytes = -1, or replay projections that were away longer", "%s", what)
	case s.Replication == 1 && brokers > 1:
		d.warn(name, "give each partition 3 copies", "%s; a broken disk loses messages, which the relay can publish again from the log", what)
	default:
		d.ok(name, "%s", what)
	}
}

// checkReaders looks how far readers of the log are behind, and at the dead letters.
func (d *doctor) checkReaders(ctx context.Context, db *sqlx.DB, cfg messaging.Config) {
	ctx, cancel := context.WithTimeout(ctx, checkLimit)
	defer cancel()
	meter := serve.NewLagMeter(db, cfg)
	defer func() { _ = meter.Close() }() // nothing was written
	report, err := meter.Measure(ctx)
	if err != nil {
		d.fail("lag", advice(err), "%v", err)
		return
	}
	if report.Kafka != nil {
		d.fail("lag", "", "%v", report.Kafka)
	}
	for _, l := range report.Lags {
		name := "lag of " + l.Reader
		if l.Age > slow {
			d.warn(name, fmt.Sprintf("is a process with that role running? Its log says why it does not go on (%s)", l.Kind),
				"%d events, the oldest %s old", l.Events, l.Age.Round(time.Second))
			continue
		}
		d.ok(name, "%d events, %s", l.Events, l.Age.Round(time.Millisecond))
	}
	d.checkLetters(report.DeadLetters)
}

// checkParked looks at the streams that read models can't go on with.
func (d *doctor) checkParked(ctx context.Context, db *sqlx.DB) {
	ctx, cancel := context.WithTimeout(ctx, checkLimit)
	defer cancel()
	var parked []string
	if err := db.SelectContext(ctx, &parked, `SELECT projection || ' ' || count(*) FROM parked GROUP BY projection ORDER BY projection`); err != nil {
		d.fail("parked streams", advice(err), "%v", err)
	} else if len(parked) > 0 {
		d.warn("parked streams", "look at them: boxoffice dlq list", "%s", strings.Join(parked, ", "))
	} else {
		d.ok("parked streams", "none")
	}
}

// checkLetters judges how many dead letters wait for somebody; -1 if that is not known.
func (d *doctor) checkLetters(waiting int64) {
	switch {
	case waiting < 0:
		d.warn("dead letters", "make the topics answer first", "how many there are is not known")
	case waiting > 0:
		d.warn("dead letters", "look at them: boxoffice dlq list", "%d", waiting)
	default:
		d.ok("dead letters", "none")
	}
}
