package devstack

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

// killTimeout is how long a server may take to end after it was told to end at once.
const killTimeout = 10 * time.Second

// child is a server process that does not outlive ours.
type child struct {
	cmd      *exec.Cmd
	watchdog *watchdog     // nil where the kernel does its work
	done     chan struct{} // closed when the process has ended
	err      error         // how it ended; read after done
}

// startChild runs c so that it gets a signal when this process dies, however it dies, and so that a
// Ctrl-C in the terminal reaches only us.
func startChild(c *exec.Cmd) (*child, error) {
	if err := sealDescriptors(); err != nil {
		return nil, err
	}
	if c.SysProcAttr == nil {
		c.SysProcAttr = &syscall.SysProcAttr{}
	}
	c.SysProcAttr.Setpgid = true
	dieWithParent(c.SysProcAttr)
	ch := &child{cmd: c, done: make(chan struct{})}
	started := make(chan error, 1)
	go ch.run(started)
	if err := <-started; err != nil {
		return nil, err
	}
	if kernelKills {
		return ch, nil
	}
	w, err := startWatchdog(c.Process.Pid)
	if err != nil {
		return nil, errors.Join(err, ch.stop(syscall.SIGQUIT, 0))
	}
	ch.watchdog = w
	return ch, nil
}

// run starts the process and waits for it. The signal at a parent's death follows the thread that
// forked (golang/go#27505), so the goroutine keeps its thread until the process has ended.
func (ch *child) run(started chan<- error) {
	runtime.LockOSThread()
	err := ch.cmd.Start()
	started <- err
	if err == nil {
		ch.err = ch.cmd.Wait()
		close(ch.done)
	}
}

func (ch *child) pid() int { return ch.cmd.Process.Pid }

// failure says how a process ended that should not have.
func (ch *child) failure() error {
	if ch.err != nil {
		return ch.err
	}
	return errors.New("exit status 0")
}

// stop sends the signal and waits; after patience the process is told to end at once. Ending by an
// immediate shutdown (exit status 2) or a signal that we sent is no error.
func (ch *child) stop(signal os.Signal, patience time.Duration) error {
	defer ch.watchdog.end()
	for _, step := range []struct {
		signal os.Signal
		wait   time.Duration
	}{{signal, patience}, {syscall.SIGQUIT, killTimeout}, {os.Kill, killTimeout}} {
		if err := ch.cmd.Process.Signal(step.signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return err
		}
		select {
		case <-ch.done:
			return nil
		case <-time.After(step.wait):
		}
	}
	return errors.New("process " + strconv.Itoa(ch.pid()) + " does not end")
}

// sealDescriptors keeps descriptors that somebody left open in us (a shell's lock or pipe) from being
// handed on: a server holding them would keep the lock or pipe for its whole life.
func sealDescriptors() error {
	entries, err := os.ReadDir("/dev/fd")
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("look through the open files: %w", err)
	}
	for _, e := range entries {
		if fd, err := strconv.Atoi(e.Name()); err == nil && fd > 2 {
			syscall.CloseOnExec(fd)
		}
	}
	return nil
}
