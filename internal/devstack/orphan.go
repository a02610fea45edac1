package devstack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	orphanGrace    = 2 * time.Second  // an orphan has its own order to stop and gets time to obey
	orphanPatience = 30 * time.Second // for all its ways to end together
)

// pidFile is what a server writes into its data folder about itself.
type pidFile struct {
	pid   int
	ready bool
}

// readPidFile reads postmaster.pid: the process id in line 1, its state in line 8.
func readPidFile(data string) (pidFile, error) {
	text, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
	if err != nil {
		return pidFile{}, err
	}
	lines := strings.Split(string(text), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(lines[0]))
	if err != nil {
		return pidFile{}, fmt.Errorf("postmaster.pid: %w", err)
	}
	const state = 7
	return pidFile{pid: pid, ready: len(lines) > state && strings.TrimSpace(lines[state]) == "ready"}, nil
}

// orphanOf is the process id of a living server on the data folder, 0 if there is none. A pid file may
// be stale and its number long be another program's, which must not be touched.
func orphanOf(data string) int {
	f, err := readPidFile(data)
	if err != nil || f.pid <= 1 || f.pid == os.Getpid() {
		return 0
	}
	if !strings.Contains(processCommand(f.pid), " -D "+data+" ") {
		return 0
	}
	return f.pid
}

// stopOrphan ends a server whose parent was killed. The caller has the folder's lock, so whoever runs
// there has lost its owner and is most likely on its way out.
func stopOrphan(ctx context.Context, data string) error {
	ctx, cancel := context.WithTimeout(ctx, orphanPatience)
	defer cancel()
	for _, step := range []struct {
		signal syscall.Signal
		wait   time.Duration
	}{{0, orphanGrace}, {syscall.SIGINT, stopTimeout}, {syscall.SIGQUIT, killTimeout}} {
		pid := orphanOf(data)
		if pid == 0 {
			return nil
		}
		if err := syscall.Kill(pid, step.signal); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("stop the server %d of an earlier run: %w", pid, err)
		}
		if err := awaitGone(ctx, data, step.wait); err != nil {
			return err
		}
	}
	if pid := orphanOf(data); pid != 0 {
		return fmt.Errorf("the server %d of an earlier run does not end", pid)
	}
	return nil
}

// awaitGone waits until no server runs on data, or until patience is over.
func awaitGone(ctx context.Context, data string, patience time.Duration) error {
	for end := time.Now().Add(patience); orphanOf(data) != 0 && time.Now().Before(end); {
		select {
		case <-ctx.Done():
			return fmt.Errorf("the server of an earlier run still ends: %w", ctx.Err())
		case <-time.After(pollEvery):
		}
	}
	return nil
}
