package devstack

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	_ "github.com/lib/pq" // the driver of the URLs

	"boxoffice"
)

const (
	testPrefix = "boxoffice-test-" // of the folders of test servers
	template   = "boxoffice_template"
	sweepAge   = time.Minute // a younger folder may be about to be locked by its owner
)

// TestPostgres is a database for one test.
type TestPostgres struct {
	// URL reaches the database, with the driver's binary parameters on.
	URL string
	// Name is the database's name.
	Name string
	// Server is what it runs on. Only that of OwnPostgres may be stopped, crashed or restarted.
	Server *PostgresServer
}

// Open returns a pool of connections to the database that is closed when the test ends.
func (p *TestPostgres) Open(t testing.TB) *sqlx.DB {
	t.Helper()
	db, err := sqlx.Open("postgres", p.URL)
	if err != nil {
		t.Fatalf("open the test database: %v", err)
	}
	t.Cleanup(func() { _ = db.Close() }) // the database goes away right after
	return db
}

// Postgres returns a new database with the schema applied and nothing in it. All tests of a binary
// share one server, which trades safety against power cuts for speed; it is started by the first call
// and ends with the process. Where goroutines are counted, call Postgres first.
func Postgres(t testing.TB) *TestPostgres {
	t.Helper()
	server, err := shared.get()
	if err != nil {
		t.Fatalf("start Postgres for tests: %v", err)
	}
	return newDatabase(t, server)
}

// OwnPostgres returns a new database on a server of the test's own, with the durable settings of a real
// one, that the test may stop, crash and restart. Settings, which may be nil, go on top.
func OwnPostgres(t testing.TB, settings map[string]string) *TestPostgres {
	t.Helper()
	dir, err := os.MkdirTemp("", testPrefix)
	if err != nil {
		t.Fatalf("folder for Postgres: %v", err)
	}
	server, err := StartPostgres(context.WithoutCancel(t.Context()), PostgresConfig{
		Dir: dir, NoSync: true, Settings: settings,
	})
	if err != nil {
		t.Fatalf("start Postgres for a test: %v", errors.Join(err, os.RemoveAll(dir)))
	}
	t.Cleanup(func() {
		if err := errors.Join(server.Stop(context.WithoutCancel(t.Context())), os.RemoveAll(dir)); err != nil {
			t.Errorf("stop Postgres: %v", err)
		}
	})
	if err := makeTemplate(t.Context(), server); err != nil {
		t.Fatalf("schema: %v", err)
	}
	return newDatabase(t, server)
}

// Kafka returns a broker for one test: embedded, in memory and the test's own, or, where the
// environment names KAFKA_BROKERS, the real one there, which other tests use at the same time. Topics
// have to be created, and their names and those of groups to begin with the test's prefix.
func Kafka(t testing.TB) *TestKafka {
	t.Helper()
	if brokers := os.Getenv("KAFKA_BROKERS"); brokers != "" {
		return &TestKafka{Brokers: strings.Split(brokers, ","), Prefix: topicPrefix()}
	}
	return OwnKafka(t)
}

// OwnKafka returns an embedded broker in memory that the test may cut off, stop and restart.
func OwnKafka(t testing.TB) *TestKafka {
	t.Helper()
	k, err := StartKafka(KafkaConfig{})
	if err != nil {
		t.Fatalf("start a broker for a test: %v", err)
	}
	t.Cleanup(func() {
		if err := k.Stop(); err != nil {
			t.Errorf("stop the broker: %v", err)
		}
	})
	return &TestKafka{Brokers: k.Brokers(), Prefix: topicPrefix(), Server: k}
}

// TestKafka is a broker for one test.
type TestKafka struct {
	// Brokers are the addresses for a client.
	Brokers []string
	// Prefix keeps the names of this test apart from all others.
	Prefix string
	// Server can be cut off, reconnected, stopped and restarted. Nil but for OwnKafka and an embedded Kafka.
	Server *KafkaBroker
	// Process can be killed and started again. Nil but for KillableKafka.
	Process KafkaProcess
}

func topicPrefix() string { return "test-" + strings.ToLower(rand.Text()[:8]) + "-" }

// Runner is what Main needs of a testing.M.
type Runner interface{ Run() int }

// Main runs a package's tests, stops the shared server and removes its files. For TestMain; a package
// without one leaves the files to the next test binary that starts a server.
func Main(m Runner) { os.Exit(Tidy(m).Run()) }

// Tidy is m with the cleaning of Main, for those who wrap it further (goleak.VerifyTestMain).
func Tidy(m Runner) Runner { return tidy{m} }

type tidy struct{ Runner }

// Run runs the tests and cleans up.
func (m tidy) Run() int {
	code := m.Runner.Run()
	if err := shared.stop(); err != nil {
		fmt.Fprintln(os.Stderr, "stop Postgres:", err)
		return max(code, 1)
	}
	return code
}

// sharedServer is the one server of a test binary.
type sharedServer struct {
	once   sync.Once
	server *PostgresServer
	err    error
	seq    atomic.Int64
}

// shared is the only state of the package: testing offers no other place that all tests of a binary reach.
var shared sharedServer

func (s *sharedServer) get() (*PostgresServer, error) {
	s.once.Do(func() {
		sweep()
		s.server, s.err = s.start()
	})
	return s.server, s.err
}

func (s *sharedServer) start() (*PostgresServer, error) {
	ctx := context.Background() // it outlives the test that happens to come first
	dir, err := os.MkdirTemp("", testPrefix)
	if err != nil {
		return nil, err
	}
	server, err := StartPostgres(ctx, PostgresConfig{
		Dir: dir, NoSync: true,
		Settings: map[string]string{
			"fsync": "off", "full_page_writes": "off", "wal_level": "minimal", "max_wal_senders": "0",
			"shared_buffers": "64MB", "max_wal_size": "1GB", "checkpoint_timeout": "1h", "max_connections": "300",
		},
	})
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return server, makeTemplate(ctx, server)
}

func (s *sharedServer) stop() error {
	s.once.Do(func() { s.err = errors.New("the tests are over") })
	if s.server == nil {
		return nil
	}
	err := s.server.Crash() // nobody reads the files again
	return errors.Join(err, s.server.Stop(context.Background()), os.RemoveAll(s.server.cfg.Dir))
}

// sweep removes what test binaries left behind that were killed or have no Main. A folder whose lock
// is free has no process any more.
func sweep() {
	left, _ := filepath.Glob(filepath.Join(os.TempDir(), testPrefix+"*")) // the pattern is well formed
	for _, dir := range left {
		info, err := os.Stat(filepath.Join(dir, "LOCK"))
		if err != nil || time.Since(info.ModTime()) < sweepAge {
			continue
		}
		lock, err := lockDir(dir)
		if err != nil {
			continue
		}
		if orphanOf(filepath.Join(dir, "data")) == 0 {
			_ = os.RemoveAll(dir) // another user's, perhaps; they clean their own
		}
		_ = lock.release() // the file is gone
	}
}

// makeTemplate makes the database that those of the tests are copied from.
func makeTemplate(ctx context.Context, server *PostgresServer) error {
	if err := execute(ctx, server, "postgres", "CREATE DATABASE "+template); err != nil {
		return err
	}
	return execute(ctx, server, template, boxoffice.Schema())
}

// newDatabase copies the template and drops the copy when the test ends.
func newDatabase(t testing.TB, server *PostgresServer) *TestPostgres {
	t.Helper()
	return copyDatabase(t, server, template)
}

// copyDatabase copies any database and drops the copy when the test ends.
func copyDatabase(t testing.TB, server *PostgresServer, from string) *TestPostgres {
	t.Helper()
	name := fmt.Sprintf("test_%d", shared.seq.Add(1))
	if err := execute(t.Context(), server, "postgres", "CREATE DATABASE "+name+" TEMPLATE "+from); err != nil {
		t.Fatalf("create database %s: %v", name, err)
	}
	t.Cleanup(func() {
		if server.Pid() == 0 {
			return // the test has stopped it, and its files go with it
		}
		if err := execute(context.WithoutCancel(t.Context()), server, "postgres", "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Errorf("drop database %s: %v", name, err)
		}
	})
	return &TestPostgres{URL: server.URL(name) + "&binary_parameters=yes", Name: name, Server: server}
}

// execute runs statements on a connection of its own.
func execute(ctx context.Context, server *PostgresServer, database, statements string) error {
	db, err := sqlx.Open("postgres", server.URL(database))
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, statements)
	return errors.Join(err, db.Close())
}
