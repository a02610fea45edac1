package devstack

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
)

const (
	helperVariable = "DEVSTACK_TEST_HELPER"
	patience       = 30 * time.Second
)

// TestMain runs the tests, or, in a copy of the test binary, a helper that is to be killed.
func TestMain(m *testing.M) {
	if role := os.Getenv(helperVariable); role != "" {
		if err := help(role, os.Args[1:]); err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	Main(m)
}

// help does what a helper is for, prints one line and waits until its standard input ends.
func help(role string, args []string) error {
	var pid int
	switch role {
	case "server": // folder: starts a server on it
		p, err := StartPostgres(context.Background(), PostgresConfig{Dir: args[0], NoSync: true})
		if err != nil {
			return err
		}
		pid = p.Pid()
		defer p.Stop(context.Background())
	case "kafka": // folder: starts Apache Kafka on it
		k, err := startRealKafka(context.Background(), os.Getenv(realKafkaHome), args[0])
		if err != nil {
			return err
		}
		pid = k.child.pid()
		defer k.Stop()
	case "watchdog": // guards a process that would outlive us
		c := exec.Command("/bin/sh", "-c", "exec sleep 600")
		if err := c.Start(); err != nil {
			return err
		}
		if _, err := startWatchdog(c.Process.Pid, syscall.SIGINT); err != nil {
			return err
		}
		pid = c.Process.Pid
	}
	fmt.Println("pid", pid)
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

// helper is a process of ours that does something with servers.
type helper struct {
	cmd   *exec.Cmd
	stdin io.Closer
	pid   int // of what it started
}

// startHelper runs the test binary as a helper; as says under which user, nil for ours.
func startHelper(t *testing.T, as *syscall.Credential, role string, args ...string) (*helper, error) {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if as != nil {
		program = copyProgram(t, program)
	}
	c := exec.CommandContext(t.Context(), program, args...)
	c.Dir = os.TempDir()
	c.Env = append(os.Environ(), helperVariable+"="+role)
	c.SysProcAttr = &syscall.SysProcAttr{Credential: as}
	c.Stderr = os.Stderr
	stdin, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Kill() // it may have ended
		_ = c.Wait()
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	number, ok := strings.CutPrefix(line, "pid ")
	if !ok {
		return nil, fmt.Errorf("helper: %s %w", line, err)
	}
	h := &helper{cmd: c, stdin: stdin}
	h.pid, err = strconv.Atoi(strings.TrimSpace(number))
	return h, err
}

func (h *helper) kill(t *testing.T) {
	t.Helper()
	if err := h.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = h.cmd.Wait() // "killed"
}

// copyProgram puts the test binary where any user can run it.
func copyProgram(t *testing.T, program string) string {
	t.Helper()
	copied := filepath.Join(openDir(t), "devstack.test")
	// Written by another process: a descriptor of ours could be open in a child when the copy is to be run.
	if out, err := exec.CommandContext(t.Context(), "cp", program, copied).CombinedOutput(); err != nil {
		t.Fatalf("copy: %v %s", err, out)
	}
	if err := os.Chmod(copied, 0o755); err != nil {
		t.Fatal(err)
	}
	return copied
}

// openDir is a folder that every user can enter, unlike t.TempDir.
func openDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "devstack-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// serve starts a server that is stopped at the end of the test.
func serve(t *testing.T, cfg PostgresConfig) *PostgresServer {
	t.Helper()
	cfg.NoSync = true
	p, err := StartPostgres(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return p
}

// query runs a statement that answers one text.
func query(t *testing.T, url, statement string) (string, error) {
	t.Helper()
	db, err := sqlx.Open("postgres", url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var answer string
	err = db.GetContext(t.Context(), &answer, statement)
	return answer, err
}

func mustQuery(t *testing.T, url, statement string) string {
	t.Helper()
	answer, err := query(t, url, statement)
	if err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
	return answer
}

// eventually waits until something is so.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for end := time.Now().Add(patience); !so(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}
