package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestTheDemoEndsInTimeThoughItsPostgresHangs(t *testing.T) {
	program, dir := build(t), filepath.Join(t.TempDir(), "data")
	d := launch(t, dir, program)
	d.send("POST", "/orders/ticket", `{"header":{"requestId":"1","requestDS":"2025-02-03T12:00:00Z","uName":"ana"},
 "payload":{"ticketId":1,"eventId":1,"quantity":2,"paymentMethod":"QRIS"}}`)
	for _, pid := range postgresOf(t, dir) {
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
	}
	begun := time.Now()
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-d.ended
	took := time.Since(begun)
	t.Logf("it ended %s after SIGTERM", took.Round(time.Millisecond))
	if took > endLimit {
		t.Errorf("more than %s", endLimit)
	}
	if exit, ok := errors.AsType[*exec.ExitError](d.err); !ok || exit.ExitCode() != 1 || !strings.Contains(d.said.String(), "abandoned") {
		t.Errorf("it ended with %v:\n%s", d.err, d.said)
	}
	d.awaitNobody()
	again := launch(t, dir, program)
	if order := again.order(orderOf(t, d)); order.Status == "" {
		t.Error("the order is lost")
	}
	again.terminate()
}

// postgresOf are the processes of the demo's Postgres, the first of them first.
func postgresOf(t *testing.T, dir string) []int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "postgres", "data", "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "ps", "-A", "-o", "pid=,ppid=").Output()
	if err != nil {
		t.Fatal(err)
	}
	all := []int{pid}
	for line := range strings.Lines(string(out)) {
		if fields := strings.Fields(line); len(fields) == 2 && fields[1] == strconv.Itoa(pid) {
			child, err := strconv.Atoi(fields[0])
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, child)
		}
	}
	return all
}

// orderOf is the id of the one order that a demo has told of.
func orderOf(t *testing.T, d *running) string {
	t.Helper()
	lines := d.said.lines("order ")
	if len(lines) != 1 {
		t.Fatalf("it told of %q", lines)
	}
	return strings.Fields(lines[0])[1]
}
