package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"boxoffice/cmd/internal/config"
)

const (
	startPatience = 60 * time.Second
	endLimit      = 10 * time.Second // after which nothing of a demo may be there
)

// build makes the program as a user gets it: without what a test adds.
func build(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "demo")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("build the demo: %v\n%s", err, out)
	}
	return program
}

// running is a demo in a process of its own.
type running struct {
	t     *testing.T
	cmd   *exec.Cmd
	dir   string
	about config.Demo
	took  time.Duration // until it was ready
	said  *transcript
	ended chan struct{}
	err   error // of its end; read after ended
}

// launch starts a demo on a folder and waits until it is ready. command is what runs the program, in front of
// its arguments.
func launch(t *testing.T, dir string, command ...string) *running {
	t.Helper()
	command = append(command, "--addr", "127.0.0.1:0", "--data", dir)
	d := &running{t: t, dir: dir, said: newTranscript(), ended: make(chan struct{})}
	d.cmd = exec.Command(command[0], command[1:]...) // it ends by signals
	d.cmd.Stdout, d.cmd.Stderr = d.said, d.said
	d.cmd.WaitDelay = endLimit // whoever still holds its output then has outlived it
	begun := time.Now()
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(d.ended)
		d.err = d.cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = d.cmd.Process.Kill() // it may have ended
		<-d.ended
	})
	select {
	case <-d.said.ready:
	case <-d.ended:
		t.Fatalf("the demo ended: %v\n%s", d.err, d.said)
	case <-time.After(startPatience):
		t.Fatalf("the demo was not ready after %s:\n%s", startPatience, d.said)
	}
	d.took = time.Since(begun)
	var err error
	if d.about, err = config.ReadDemo(dir); err != nil {
		t.Fatal(err)
	}
	return d
}

// terminate asks the demo to end, as a user does, and returns how long that took.
func (d *running) terminate() time.Duration {
	d.t.Helper()
	begun := time.Now()
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		d.t.Fatal(err)
	}
	select {
	case <-d.ended:
	case <-time.After(endLimit):
		d.t.Fatalf("the demo had not ended %s after SIGTERM:\n%s", endLimit, d.said)
	}
	if d.err != nil {
		d.t.Errorf("the demo ended with %v:\n%s", d.err, d.said)
	}
	return time.Since(begun)
}

// kill ends the demo without giving it a chance.
func (d *running) kill() {
	d.t.Helper()
	if err := d.cmd.Process.Kill(); err != nil {
		d.t.Fatal(err)
	}
}

// awaitKilled waits until the killed demo is gone, and all it had started with it.
func (d *running) awaitKilled() {
	d.t.Helper()
	<-d.ended
	if errors.Is(d.err, exec.ErrWaitDelay) {
		d.t.Errorf("something still held the demo's output %s after its end", endLimit)
	}
	d.awaitNobody()
}

// awaitNobody waits until no process works in the demo's folder.
func (d *running) awaitNobody() {
	d.t.Helper()
	for end := time.Now().Add(endLimit); ; <-time.After(20 * time.Millisecond) {
		left := processesIn(d.t, d.dir)
		if len(left) == 0 {
			return
		}
		if time.Now().After(end) {
			d.t.Fatalf("%s after the demo's end there are still:\n%s", endLimit, strings.Join(left, "\n"))
		}
	}
}

// processesIn lists processes that name a folder in their command line or, where the system tells, work in it.
func processesIn(t *testing.T, dir string) []string {
	t.Helper()
	list, err := exec.CommandContext(t.Context(), "ps", "-A", "-o", "pid=,stat=,args=").Output()
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for line := range strings.Lines(string(list)) {
		if fields := strings.Fields(line); strings.Contains(line, dir) && !strings.HasPrefix(fields[1], "Z") {
			found = append(found, strings.TrimSpace(line))
		}
	}
	links, _ := filepath.Glob("/proc/[0-9]*/cwd") // the pattern is well formed
	for _, link := range links {
		if at, err := os.Readlink(link); err == nil && strings.HasPrefix(at, dir) {
			found = append(found, link+" is "+at)
		}
	}
	return found
}

// transcript keeps what a demo says on both outputs.
type transcript struct {
	mu    sync.Mutex
	text  bytes.Buffer
	ready chan struct{}
}

const readyLine = "ready: http://127.0.0.1:"

func newTranscript() *transcript { return &transcript{ready: make(chan struct{})} }

func (s *transcript) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := bytes.Contains(s.text.Bytes(), []byte(readyLine))
	s.text.Write(p)
	if !was && bytes.Contains(s.text.Bytes(), []byte(readyLine)) {
		close(s.ready)
	}
	return len(p), nil
}

func (s *transcript) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// lines are what the demo has said so far, of the kinds that begin with a word.
func (s *transcript) lines(word string) []string {
	var found []string
	lines := bufio.NewReader(strings.NewReader(s.String()))
	for {
		line, err := lines.ReadString('\n')
		if strings.HasPrefix(line, word) {
			found = append(found, strings.TrimSpace(line))
		}
		if errors.Is(err, io.EOF) {
			return found
		}
	}
}
