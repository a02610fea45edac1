package devstack

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

const (
	startTimeout = 2 * time.Minute      // until the server answers, crash recovery included
	pollEvery    = 5 * time.Millisecond // while waiting for a server to come or go
	portAttempts = 3                    // a port that was picked may be taken before the server binds it
	freshPort    = 0                    // PostgresConfig.Port: any free one
)

// start runs the server and waits until it answers. A port of our own choosing is chosen again if it fails.
func (p *PostgresServer) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for attempt := 1; ; attempt++ {
		port := p.port
		if port == freshPort {
			var err error
			if port, err = freePort(); err != nil {
				return err
			}
		}
		err := p.launch(ctx, port)
		if err == nil {
			if p.port == freshPort {
				p.port = port // from now on the same one, so that URLs stay true over a Restart
			}
			return nil
		}
		if p.port != freshPort || attempt == portAttempts || ctx.Err() != nil {
			return err
		}
	}
}

func (p *PostgresServer) launch(ctx context.Context, port int) error {
	logFile, err := openLog(p.log(), p.owner)
	if err != nil {
		return err
	}
	defer func() { _ = logFile.Close() }() // the server has its own descriptor
	c := p.owner.command(filepath.Join(p.bin.dir, "postgres"), p.arguments(port)...)
	c.Stdout, c.Stderr = logFile, logFile
	ch, err := startChild(c)
	if err != nil {
		return fmt.Errorf("start: %w", err)
	}
	if err := awaitReady(ctx, ch, p.data()); err != nil {
		return errors.Join(fmt.Errorf("%w\n%s", err, logTail(p.log())), ch.stop(syscall.SIGQUIT, stopTimeout, killTimeout))
	}
	p.mu.Lock()
	p.child = ch
	p.mu.Unlock()
	return nil
}

func (p *PostgresServer) arguments(port int) []string {
	settings := map[string]string{
		"listen_addresses":        "127.0.0.1",
		"port":                    strconv.Itoa(port),
		"unix_socket_directories": p.socket,
		"fsync":                   "on",
		"synchronous_commit":      "on",
	}
	maps.Copy(settings, p.cfg.Settings)
	args := []string{"-D", p.data()}
	for name, value := range settings {
		args = append(args, "-c", name+"="+value)
	}
	return args
}

// awaitReady returns when the server says so in its own pid file, which costs no connection attempts.
func awaitReady(ctx context.Context, ch *child, data string) error {
	for {
		if f, err := readPidFile(data); err == nil && f.pid == ch.pid() && f.ready {
			return nil
		}
		select {
		case <-ch.done:
			return fmt.Errorf("the server ended while starting: %w", ch.failure())
		case <-ctx.Done():
			return fmt.Errorf("the server is not ready: %w", ctx.Err())
		case <-time.After(pollEvery):
		}
	}
}

func freePort() (int, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("pick a port: %w", err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	return port, l.Close()
}
