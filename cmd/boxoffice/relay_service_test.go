package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"boxoffice/eventstore"
	"boxoffice/internal/messaging"
)

// proves waits until verify finds nothing wrong, with the topics.
func (o *office) proves() (told string) {
	o.t.Helper()
	o.await("the log proves itself", func() string {
		r := runs(o.t, o.environ, "verify", "--kafka")
		told = r.stdout
		if r.code != exitOK {
			return r.stdout + r.stderr
		}
		return ""
	})
	return told
}

// books is what the simulated gateway has in its books.
func (o *office) books() (rows []string) {
	o.t.Helper()
	err := o.db.SelectContext(o.t.Context(), &rows, `SELECT p::text FROM simulator_payments AS p UNION ALL SELECT r::text FROM simulator_refunds AS r ORDER BY 1`)
	if err != nil {
		o.t.Fatal(err)
	}
	return rows
}

// readOn is empty when all read models have read their topics up to the ends, and else says which has not.
func (o *office) readOn() string {
	o.t.Helper()
	progress, err := eventstore.New(o.db, eventstore.Config{}).Progress(o.t.Context())
	if err != nil {
		o.t.Fatal(err)
	}
	ends := map[messaging.Claim]int64{}
	for _, topic := range messaging.EventTopics() {
		all, err := messaging.TopicBounds(o.t.Context(), messaging.Config{Brokers: o.kafka.Brokers, TopicPrefix: o.kafka.Prefix}, topic)
		if err != nil {
			o.t.Fatal(err)
		}
		for _, b := range all {
			ends[b.Claim] = b.Newest
		}
	}
	if len(progress.Checkpoints) == 0 {
		return "nobody reads"
	}
	for _, c := range progress.Checkpoints {
		if end := ends[messaging.Claim{Topic: c.Topic, Partition: c.Partition}]; c.NextOffset != end {
			return fmt.Sprintf("%s is at %d of %s/%d, which ends at %d", c.Name, c.NextOffset, c.Topic, c.Partition, end)
		}
	}
	return ""
}

func TestTheLogIsPublishedAgainBesideARunningService(t *testing.T) {
	t.Parallel()
	o := serving(t)
	o.createShow()
	paid, open := o.order("ana", "1"), o.order("ben", "2")
	for _, id := range []string{paid, open} {
		o.await("it can be paid", func() string { return o.status(id, "CONFIRMED") })
	}
	o.pays(paid, "ana")
	o.await("it is paid", func() string { return o.status(paid, "COMPLETED") })
	o.proves()
	books := o.books()

	t.Run("readers come back by themselves, and nothing is done twice", func(t *testing.T) {
		begun := time.Now()
		r := runs(t, o.environ, "relay", "--from", "1", "--yes").must(t, exitOK)
		if !strings.Contains(r.stdout, "again, positions 1 to ") {
			t.Errorf("it prints %s and says %s", r.stdout, r.stderr)
		}
		published := time.Since(begun)
		o.await("all have read all", o.readOn)
		t.Logf("published after %s, read after %s", published, time.Since(begun))
		if told := o.proves(); strings.Contains(told, " 0 repeats") {
			t.Errorf("verify says %s", told)
		}
		o.await("the consumers have read all", func() string {
			_, view := o.lag()
			return strings.Trim(fmt.Sprint(lagging(view)), "[]")
		})
		if after := o.books(); fmt.Sprint(after) != fmt.Sprint(books) {
			t.Errorf("the gateway's books are %v, they were %v", after, books)
		}
	})
	t.Run("orders go on", func(*testing.T) {
		id := o.order("cyd", "3")
		o.await("it can be paid", func() string { return o.status(id, "CONFIRMED") })
		o.proves()
	})
	t.Run("another prefix gets all of it, too", func(t *testing.T) {
		o.stop()
		elsewhere := append(slices.Clone(o.environ), "KAFKA_TOPIC_PREFIX="+o.kafka.Prefix+"second-")
		runs(t, elsewhere, "relay", "--from", "1", "--yes").must(t, exitOK)
		if r := runs(t, elsewhere, "verify", "--kafka").must(t, exitOK); !strings.Contains(r.stdout, " 0 repeats") {
			t.Errorf("verify says %s", r.stdout)
		}
	})
}

// lagging are the readers that have not read all.
func lagging(view lagView) (names []string) {
	for _, l := range view.Readers {
		if l.Events > 0 {
			names = append(names, l.Name)
		}
	}
	return names
}
