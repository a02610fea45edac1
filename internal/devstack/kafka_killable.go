package devstack

import (
	"context"
	"errors"
	"os"
	"testing"
)

// realKafkaHome names the folder that .ci/with-kafka prepares for brokers of a test's own.
const realKafkaHome = "REAL_KAFKA"

// KafkaProcess is a broker that a test may kill.
type KafkaProcess interface {
	// Kill ends the broker at once, as kill -9 does; a second call does nothing.
	Kill() error
	// Start runs it again, on the same port and its old files, and returns when it answers.
	Start(ctx context.Context) error
}

// KillableKafka returns a broker of the test's own that has its messages in files, and that the test may kill
// and start again: Apache Kafka where .ci/with-kafka has prepared that, else the embedded one.
func KillableKafka(t testing.TB) *TestKafka {
	t.Helper()
	dir, err := os.MkdirTemp("", testPrefix)
	if err != nil {
		t.Fatalf("folder for Kafka: %v", err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("folder of Kafka: %v", err)
		}
	})
	k, stop, err := startKillable(t.Context(), dir)
	if err != nil {
		t.Fatalf("start a broker for a test: %v", err)
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("stop the broker: %v", err)
		}
	})
	return k
}

func startKillable(ctx context.Context, dir string) (k *TestKafka, stop func() error, err error) {
	home := os.Getenv(realKafkaHome)
	if home == "" {
		embedded, err := StartKafka(KafkaConfig{Dir: dir})
		if err != nil {
			return nil, nil, err
		}
		return &TestKafka{Brokers: embedded.Brokers(), Prefix: topicPrefix(), Process: embedded}, embedded.Stop, nil
	}
	lock, err := lockDir(dir) // as long as we have it, the folder is not swept away
	if err != nil {
		return nil, nil, err
	}
	apache, err := startRealKafka(ctx, home, dir)
	if err != nil {
		return nil, nil, errors.Join(err, lock.release())
	}
	return &TestKafka{Brokers: apache.Brokers(), Prefix: topicPrefix(), Process: apache},
		func() error { return errors.Join(apache.Stop(), lock.release()) }, nil
}
