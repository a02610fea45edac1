package devstack

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	realKafkaReady = "Kafka Server started" // in its log
	realKafkaHeap  = "512m"
	clusterIDBytes = 16
	// Ports that the kernel gives to no client: while the broker is away, a client could get the broker's own.
	lowestPort, highestPort = 20_000, 32_000
)

// realKafka is one Apache Kafka broker in a process of its own, for tests. What .ci/with-kafka has prepared
// says how to run it: a folder with the jars in lib and the settings in common.properties.
type realKafka struct {
	home, dir string
	ports     [2]int // of the broker and of its controller

	mu    sync.Mutex
	child *child // nil when it does not run
}

// startRealKafka starts a broker with its files in dir, from what is prepared in home.
func startRealKafka(ctx context.Context, home, dir string) (*realKafka, error) {
	k := &realKafka{home: home, dir: dir}
	for attempt := 1; ; attempt++ {
		err := errors.Join(k.configure(), k.format(ctx))
		if err == nil {
			err = k.Start(ctx)
		}
		if err == nil {
			return k, nil
		}
		if attempt == portAttempts || ctx.Err() != nil {
			return nil, fmt.Errorf("start Apache Kafka: %w", err)
		}
	}
}

// configure writes the settings, with ports on which nobody listens.
func (k *realKafka) configure() error {
	settings, err := os.ReadFile(filepath.Join(k.home, "common.properties"))
	if err != nil {
		return err
	}
	for i := range k.ports {
		if k.ports[i], err = quietPort(); err != nil {
			return err
		}
	}
	listeners := fmt.Sprintf("PLAINTEXT://%s,CONTROLLER://%s", loopback(k.ports[0]), loopback(k.ports[1]))
	settings = fmt.Appendf(settings, "\nlisteners=%s\nadvertised.listeners=%s\ncontroller.quorum.bootstrap.servers=%s\nlog.dirs=%s\n",
		listeners, listeners, loopback(k.ports[1]), k.data())
	return os.WriteFile(k.settings(), settings, 0o600)
}

// format makes the data folder, anew if an attempt has failed.
func (k *realKafka) format(ctx context.Context) error {
	if err := os.RemoveAll(k.data()); err != nil {
		return err
	}
	id := make([]byte, clusterIDBytes)
	if _, err := rand.Read(id); err != nil {
		return err
	}
	id[0] = 0 // it must not begin with a dash, which would be an option
	return runQuietly(ctx, k.java("-Xmx128m", "-XX:TieredStopAtLevel=1", "kafka.tools.StorageTool", "format",
		"--standalone", "-t", base64.RawURLEncoding.EncodeToString(id), "-c", k.settings()))
}

// java is a run of a class of Kafka's; options of Java's go before it.
func (k *realKafka) java(args ...string) *exec.Cmd {
	args = append([]string{
		"-cp", filepath.Join(k.home, "lib", "*"), "-Djava.awt.headless=true",
		"-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info",
	}, args...)
	return exec.Command("java", args...)
}

// Start runs the broker on the files that it left and returns when it answers. One that runs is left alone.
func (k *realKafka) Start(ctx context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.child != nil {
		return nil
	}
	log, err := os.Create(k.log()) // what it said before must not pass for what it says now
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // the broker has its own descriptor
	c := k.java("-Xms64m", "-Xmx"+realKafkaHeap, "-XX:+UseG1GC", "-XX:+ExitOnOutOfMemoryError", "kafka.Kafka", k.settings())
	c.Stdout, c.Stderr = log, log
	// Java ignores a SIGINT that its parents ignore, and nobody needs these files again.
	ch, err := startMortal(c, syscall.SIGKILL)
	if err != nil {
		return err
	}
	if err := k.awaitReady(ctx, ch); err != nil {
		return errors.Join(fmt.Errorf("%w\n%s", err, logTail(k.log())), ch.stop(syscall.SIGKILL, killTimeout, killTimeout))
	}
	k.child = ch
	return nil
}

func (k *realKafka) awaitReady(ctx context.Context, ch *child) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		said, err := os.ReadFile(k.log())
		if err != nil {
			return err
		}
		if bytes.Contains(said, []byte(realKafkaReady)) {
			return nil
		}
		select {
		case <-ch.done:
			return fmt.Errorf("the broker ended while starting: %w", ch.failure())
		case <-ctx.Done():
			return fmt.Errorf("the broker is not ready: %w", ctx.Err())
		case <-time.After(pollEvery):
		}
	}
}

// Kill ends the broker with kill -9; Start brings it back. A second call does nothing.
func (k *realKafka) Kill() error { return k.end(syscall.SIGKILL) }

// Stop lets the broker shut down; a second call does nothing.
func (k *realKafka) Stop() error { return k.end(syscall.SIGTERM) }

func (k *realKafka) end(signal syscall.Signal) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.child == nil {
		return nil
	}
	err := k.child.stop(signal, stopTimeout, killTimeout)
	k.child = nil
	return err
}

// Brokers are the addresses for a client.
func (k *realKafka) Brokers() []string { return []string{loopback(k.ports[0])} }

func (k *realKafka) data() string     { return filepath.Join(k.dir, "data") }
func (k *realKafka) settings() string { return filepath.Join(k.dir, "server.properties") }
func (k *realKafka) log() string      { return filepath.Join(k.dir, "kafka.log") }

// quietPort is one on which nobody listens and from which no client of this machine connects.
func quietPort() (int, error) {
	var taken []string
	for range portAttempts {
		n, err := rand.Int(rand.Reader, big.NewInt(highestPort-lowestPort))
		if err != nil {
			return 0, err
		}
		port := lowestPort + int(n.Int64())
		l, err := net.Listen("tcp4", loopback(port))
		if err == nil {
			return port, l.Close()
		}
		taken = append(taken, err.Error())
	}
	return 0, fmt.Errorf("no free port: %s", strings.Join(taken, "; "))
}
