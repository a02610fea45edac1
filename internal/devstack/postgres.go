// Package devstack starts a private PostgreSQL and a Kafka-protocol broker for cmd/demo and for tests.
//
// Nothing is installed on the machine, and nothing is left behind: both end with the process that
// started them, also when that process is killed.
package devstack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"
)

const (
	superuser   = "boxoffice"
	stopTimeout = 15 * time.Second // for a fast shutdown, before an immediate one
)

// PostgresConfig says where and how to run a server.
type PostgresConfig struct {
	// Dir is the server's own folder; it is made if missing and belongs to the user the server runs as.
	// The data, the password and the log in it are kept between starts.
	Dir string
	// Port on the loopback interface; 0 picks a free one.
	Port int
	// Bin is the folder with initdb and postgres; Fetch unpacks them into a cache folder. "" takes those
	// that PG_BIN names, else those of this machine, else fetches them.
	Bin string
	// Settings are server parameters, in addition to or instead of the durable defaults.
	Settings map[string]string
	// NoSync makes the data folder without waiting for the disk: for tests.
	NoSync bool
	// Cache is where fetched programs are kept; "" is the user's cache folder.
	Cache string
	// Log takes what an onlooker should know, such as a download; nil is os.Stderr.
	Log io.Writer
}

// PostgresServer is a running server. Its methods may be called from several goroutines.
type PostgresServer struct {
	cfg      PostgresConfig
	bin      binaries
	owner    *owner
	lock     *dirLock
	password string
	socket   string // folder of the unix socket
	port     int

	mu     sync.Mutex
	child  *child // nil when stopped
	closed bool   // by Stop
}

// StartPostgres starts a server on cfg.Dir and returns when it answers. ctx limits the start only.
// ErrInUse: another process runs a server there.
func StartPostgres(ctx context.Context, cfg PostgresConfig) (*PostgresServer, error) {
	if cfg.Log == nil {
		cfg.Log = os.Stderr
	}
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("postgres folder: %w", err)
	}
	cfg.Dir = dir
	own, err := serverOwner()
	if err != nil {
		return nil, err
	}
	if err := own.mkdir(dir); err != nil {
		return nil, err
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, fmt.Errorf("postgres in %s: %w", dir, err)
	}
	p := &PostgresServer{cfg: cfg, owner: own, lock: lock, port: cfg.Port}
	if err := p.prepare(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("postgres in %s: %w", dir, err), lock.release())
	}
	if err := p.start(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("postgres in %s: %w", dir, err), p.cleanSocket(), lock.release())
	}
	return p, nil
}

// prepare makes everything a start needs: binaries, no orphan of an earlier run, a data folder, a socket folder.
func (p *PostgresServer) prepare(ctx context.Context) error {
	var err error
	if p.bin, err = findBinaries(ctx, p.cfg, p.data(), p.owner); err != nil {
		return err
	}
	if err = p.owner.reach(ctx, p.cfg.Dir, p.bin); err != nil {
		return err
	}
	if err = stopOrphan(ctx, p.data()); err != nil {
		return err
	}
	if p.password, err = p.initialize(ctx); err != nil {
		return err
	}
	p.socket, err = socketDir(p.cfg.Dir, p.owner)
	return err
}

func (p *PostgresServer) data() string { return filepath.Join(p.cfg.Dir, "data") }
func (p *PostgresServer) log() string  { return filepath.Join(p.cfg.Dir, "postgres.log") }

// URL is how to reach a database of the server over the loopback interface.
func (p *PostgresServer) URL(database string) string {
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(superuser, p.password),
		Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(p.port)), Path: "/" + database, RawQuery: "sslmode=disable",
	}
	return u.String()
}

// SocketURL is how to reach a database of the server over its unix socket.
func (p *PostgresServer) SocketURL(database string) string {
	query := url.Values{"host": {p.socket}, "port": {strconv.Itoa(p.port)}, "sslmode": {"disable"}}
	u := url.URL{Scheme: "postgres", User: url.UserPassword(superuser, p.password), Path: "/" + database, RawQuery: query.Encode()}
	return u.String()
}

// Port is the server's port on the loopback interface.
func (p *PostgresServer) Port() int { return p.port }

// Version is the server's release, such as "PostgreSQL 18.3".
func (p *PostgresServer) Version() string { return p.bin.version }

// Bin is the folder of the server's programs.
func (p *PostgresServer) Bin() string { return p.bin.dir }

// Pid is the process id of the server, 0 when it is stopped.
func (p *PostgresServer) Pid() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.child == nil {
		return 0
	}
	return p.child.pid()
}

// Stop shuts the server down, cutting its connections, and frees the folder. ctx's deadline limits the
// patience: half of the time until then is for an orderly end, after which the server is stopped at once, and
// recovers at its next start. One that does not even do that is killed.
func (p *PostgresServer) Stop(ctx context.Context) error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	err := p.halt(ctx)
	return errors.Join(err, p.cleanSocket(), p.lock.release())
}

// Crash stops the server as a power cut would, without any shutdown work. Restart brings it back.
func (p *PostgresServer) Crash() error {
	ch := p.takeChild()
	if ch == nil {
		return nil
	}
	return ch.stop(syscall.SIGQUIT, stopTimeout, killTimeout)
}

// Freeze stops the server in the middle of whatever it does, without ending it: connections live on and nothing
// answers, as when its host hangs. Thaw lets it go on.
func (p *PostgresServer) Freeze() error { return p.signalAll(syscall.SIGSTOP) }

// Thaw ends what Freeze began.
func (p *PostgresServer) Thaw() error { return p.signalAll(syscall.SIGCONT) }

func (p *PostgresServer) signalAll(signal syscall.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.child == nil {
		return errors.New("the server does not run")
	}
	return p.child.signalAll(signal)
}

// Restart stops the server if it runs and starts it again on the same port. After Stop it is an error:
// the folder may be another's by then.
func (p *PostgresServer) Restart(ctx context.Context) error {
	p.mu.Lock()
	closed := p.closed
	p.mu.Unlock()
	if closed {
		return errors.New("the server was stopped for good")
	}
	if err := p.halt(ctx); err != nil {
		return err
	}
	return p.start(ctx)
}

func (p *PostgresServer) takeChild() *child {
	p.mu.Lock()
	defer p.mu.Unlock()
	ch := p.child
	p.child = nil
	return ch
}

func (p *PostgresServer) halt(ctx context.Context) error {
	ch := p.takeChild()
	if ch == nil {
		return nil
	}
	patience, last := stopTimeout, killTimeout
	if deadline, ok := ctx.Deadline(); ok {
		left := max(0, time.Until(deadline))
		patience, last = min(patience, left/2), min(last, left/4)
	}
	return ch.stop(syscall.SIGINT, patience, last)
}
