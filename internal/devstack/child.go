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

// startChild runs c so that it is told to shut down when this process dies, however it dies, and so that a
// Ctrl-C in the terminal reaches only us.
func startChild(c *exec.Cmd) (*child, error) { return startMortal(c, syscall.SIGINT) }

// startMortal is startChild with a choice of the signal that it gets when we die.
func startMortal(c *exec.Cmd, last syscall.Signal) (*child, error) {
	if err := sealDescriptors(); err != nil {
		return nil, err
	}
	if c.SysProcAttr == nil {
		c.SysProcAttr = &syscall.SysProcAttr{}
	}
	c.SysProcAttr.Setpgid = true
	dieWithParent(c.SysProcAttr, last)
	ch := &child{cmd: c, done: make(chan struct{})}
	started := make(chan error, 1)
	go ch.run(started)
	if err := <-started; err != nil {
		return nil, err
	}
	if kernelKills {
		return ch, nil
	}
	w, err := startWatchdog(c.Process.Pid, last)
	if err != nil {
		return nil, errors.Join(err, ch.stop(syscall.SIGQUIT, 0, killTimeout))
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

// stop sends the signal and waits; after patience the process is told to end at once, and if that does not
// help either (it is frozen, perhaps) it is killed, and its children with it. Ending by an immediate shutdown
// (exit status 2) or a signal that we sent is no error.
func (ch *child) stop(signal syscall.Signal, patience, last time.Duration) error {
	defer ch.watchdog.end()
	for _, step := range []struct {
		send func() error
		wait time.Duration
	}{
		{func() error { return ch.signal(signal) }, patience},
		{func() error { return ch.signal(syscall.SIGQUIT) }, last},
		{func() error { return ch.signalAll(syscall.SIGKILL) }, killTimeout},
	} {
		if err := step.send(); err != nil {
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

func (ch *child) signal(signal syscall.Signal) error {
	if err := ch.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}

// signalAll sends a signal to the process and its children. One that is not there is no error.
func (ch *child) signalAll(signal syscall.Signal) error {
	children := childrenOf(ch.pid()) // before they lose their parent
	errs := []error{ch.signal(signal)}
	for _, pid := range append(children, childrenOf(ch.pid())...) { // and those that came meanwhile
		if err := syscall.Kill(pid, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
			errs = append(errs, fmt.Errorf("signal %d: %w", pid, err))
		}
	}
	return errors.Join(errs...)
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
