package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"

	"boxoffice/cmd/internal/config"
	"boxoffice/cmd/internal/serve"
	"boxoffice/internal/devstack"
)

const (
	startLimit  = 5 * time.Minute         // for everything to answer; a first start may have to fetch PostgreSQL
	serveLimit  = 6500 * time.Millisecond // for the service to end, and
	goneWithin  = 9500 * time.Millisecond // for everything, from the moment at which the demo is told to end
	parentCheck = 300 * time.Millisecond
	database    = "boxoffice"
)

// run runs the demo until ctx ends.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: o.log}))
	unlock, err := devstack.Lock(o.data)
	if errors.Is(err, devstack.ErrInUse) {
		return fmt.Errorf("a demo runs on %s already: %w; end it or choose another --data", o.data, err)
	}
	if err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	defer func() { err = errors.Join(err, unlock()) }()
	if o.fresh {
		if err := empty(o.data); err != nil {
			return err
		}
	}
	go endWithParent(ctx, cancel)
	ending, end := deadlineAfter(ctx, goneWithin)
	defer end()
	stack, err := startStack(ctx, o, stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stack.stop(ending())) }()
	return serveDemo(ctx, o, stack, stdout, log)
}

// serveDemo serves on the running servers.
func serveDemo(ctx context.Context, o options, s *stack, stdout io.Writer, log *slog.Logger) (err error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", o.addr)
	if err != nil {
		return fmt.Errorf("--addr: %w", err)
	}
	metrics, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return errors.Join(fmt.Errorf("metrics: %w", err), listener.Close())
	}
	keys, err := keptKeys(o.data)
	if err != nil {
		return errors.Join(err, listener.Close(), metrics.Close())
	}
	url := "http://" + reachable(listener.Addr())
	about := config.Demo{
		URL: url, MetricsURL: "http://" + metrics.Addr().String() + "/metrics", OperatorKey: keys.Operator,
		WebhookSecret: keys.Webhook, DatabaseURL: s.postgres.URL(database), KafkaBrokers: s.kafka.Brokers(), PID: os.Getpid(),
	}
	said := newLines(stdout)
	defer said.close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	served := make(chan error, 1)
	go func() {
		served <- serve.Run(ctx, serve.Options{
			Config: keys.config(o, about), Log: log, Listener: listener, Metrics: metrics,
			Demo: loopback(listener.Addr()), Told: said.told, StopWithin: serveLimit,
		})
	}()
	defer func() { err = errors.Join(err, config.RemoveDemo(o.data)) }()
	ready := make(chan error, 1)
	go func() { ready <- introduce(ctx, about) }()
	select {
	case err = <-ready:
	case err = <-served:
		return err
	}
	if err == nil {
		if err = about.Write(o.data); err == nil {
			said.say("ready: " + url)
			return <-served
		}
	}
	cancel()
	if served := <-served; ctx.Err() == nil || served != nil {
		err = errors.Join(err, served)
	}
	if errors.Is(err, context.Canceled) {
		return nil // told to end before it was ready
	}
	return err
}

// deadlineAfter gives the moment by which everything must have ended: some time after ctx did, or, as long as it
// has not, from when it is asked. stop ends the waiting for ctx.
func deadlineAfter(ctx context.Context, limit time.Duration) (deadline func() time.Time, stop func()) {
	var told atomic.Pointer[time.Time]
	unhook := context.AfterFunc(ctx, func() {
		now := time.Now()
		told.Store(&now)
	})
	return func() time.Time {
		if at := told.Load(); at != nil {
			return at.Add(limit)
		}
		return time.Now().Add(limit)
	}, func() { unhook() }
}

// empty removes what earlier runs left in the directory, and nothing else that may be there.
func empty(dir string) error {
	for _, name := range []string{"postgres", "kafka", keysFile, "demo.json"} {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("--fresh: %w", err)
		}
	}
	return nil
}

// endWithParent ends the demo when the program that started it is gone: nobody could end it otherwise.
func endWithParent(ctx context.Context, end func()) {
	parent := os.Getppid()
	ticker := time.NewTicker(parentCheck)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if os.Getppid() != parent {
				end()
				return
			}
		}
	}
}

// reachable is an address that this machine can call, also where the demo listens on all of them.
func reachable(a net.Addr) string {
	if tcp, ok := a.(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
		return net.JoinHostPort("127.0.0.1", strconv.Itoa(tcp.Port))
	}
	return a.String()
}

func loopback(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}
