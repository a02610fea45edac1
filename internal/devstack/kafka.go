package devstack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/twmb/franz-go/pkg/kfake"
)

// defaultPartitions of a topic whose creator names no number.
const defaultPartitions = 8

var errStopped = errors.New("the broker was stopped")

// KafkaConfig says where and how to run a broker.
type KafkaConfig struct {
	// Dir keeps topics, messages and offsets between starts; "" keeps them in memory.
	Dir string
	// Port on the loopback interface; 0 picks a free one.
	Port int
	// Partitions of a topic whose creator names no number; 0 is 8.
	Partitions int
	// AutoCreate makes a topic at its first use. Off by default, as it should be on a real broker.
	AutoCreate bool
	// Log takes the broker's errors; nil is os.Stderr.
	Log io.Writer
}

// KafkaBroker is one broker that speaks Kafka's protocol, in this process. It is for development and tests.
type KafkaBroker struct {
	cfg  KafkaConfig
	lock *dirLock // nil in memory

	mu      sync.Mutex
	port    int
	gate    *gate
	cluster *kfake.Cluster // nil when stopped
	closed  bool           // by Stop
}

// StartKafka starts a broker. ErrInUse: another process has Dir.
func StartKafka(cfg KafkaConfig) (*KafkaBroker, error) {
	if cfg.Log == nil {
		cfg.Log = os.Stderr
	}
	if cfg.Partitions == 0 {
		cfg.Partitions = defaultPartitions
	}
	k := &KafkaBroker{cfg: cfg, port: cfg.Port}
	if cfg.Dir != "" {
		var err error
		if k.cfg.Dir, err = filepath.Abs(cfg.Dir); err != nil {
			return nil, fmt.Errorf("kafka folder: %w", err)
		}
		if err = os.MkdirAll(k.cfg.Dir, 0o700); err != nil {
			return nil, fmt.Errorf("kafka folder: %w", err)
		}
		// The broker itself would let two processes ruin each other's files.
		if k.lock, err = lockDir(k.cfg.Dir); err != nil {
			return nil, fmt.Errorf("kafka in %s: %w", k.cfg.Dir, err)
		}
	}
	if err := k.start(); err != nil {
		return nil, errors.Join(err, k.unlock())
	}
	return k, nil
}

// start runs a cluster of one broker. The caller holds the mutex, if anybody else knows k.
func (k *KafkaBroker) start() error {
	gate := newGate()
	options := []kfake.Opt{
		kfake.NumBrokers(1), kfake.Ports(k.port), kfake.ClusterID("boxoffice"), kfake.DefaultNumPartitions(k.cfg.Partitions),
		kfake.ListenFn(gate.listen), kfake.WithLogger(kfake.BasicLogger(k.cfg.Log, kfake.LogLevelError)),
	}
	if k.cfg.Dir != "" {
		options = append(options, kfake.DataDir(filepath.Join(k.cfg.Dir, "data")))
	}
	if k.cfg.AutoCreate {
		options = append(options, kfake.AllowAutoTopicCreation())
	}
	cluster, err := kfake.NewCluster(options...)
	if err != nil {
		return fmt.Errorf("start the broker: %w", err)
	}
	k.port = gate.port() // from now on the same one, so that clients find it again after a Restart
	k.gate, k.cluster = gate, cluster
	return nil
}

// Brokers are the addresses for a client.
func (k *KafkaBroker) Brokers() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return []string{loopback(k.port)}
}

// Cluster is the broker itself, for tests that make single requests fail. Nil when stopped.
func (k *KafkaBroker) Cluster() *kfake.Cluster {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.cluster
}

// Stop ends the broker and frees the folder; a second call does nothing.
func (k *KafkaBroker) Stop() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.halt()
	k.closed = true
	return k.unlock()
}

// Restart stops the broker if it runs and starts it again on the same port. One in memory comes back
// empty. After Stop it is an error: the folder may be another's by then.
func (k *KafkaBroker) Restart() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return errStopped
	}
	k.halt()
	return k.start()
}

// Kill ends the broker without a word to its clients: what a killed process looks like to them. Start brings it
// back. A second call does nothing.
func (k *KafkaBroker) Kill() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.cluster == nil {
		return nil
	}
	err := k.gate.shut() // first, so that nobody is told that the broker ends
	k.halt()
	return err
}

// Start starts a killed broker again on the same port, with what its folder has; one in memory comes back
// empty. One that runs is left alone; after Stop it is an error.
func (k *KafkaBroker) Start(context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case k.closed:
		return errStopped
	case k.cluster != nil:
		return nil
	}
	return k.start()
}

// CutOff makes the broker unreachable, as a network cut or a dead host would, until Reconnect: living
// connections break and new ones are refused. What it has stored stays.
func (k *KafkaBroker) CutOff() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.cluster == nil {
		return errStopped
	}
	return k.gate.shut()
}

// Reconnect ends what CutOff began, on the same port.
func (k *KafkaBroker) Reconnect() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.cluster == nil {
		return errStopped
	}
	return k.gate.open()
}

// halt ends the cluster. The caller holds the mutex.
func (k *KafkaBroker) halt() {
	if k.cluster == nil {
		return
	}
	k.cluster.Close()
	k.gate.dropAll()
	k.cluster = nil
}

func (k *KafkaBroker) unlock() error {
	if k.lock == nil {
		return nil
	}
	return k.lock.release()
}
