package devstack

import (
	"io"
	"os/exec"
	"strconv"
	"syscall"
)

// watchdog is a small process that reads from a pipe only we write to: its end means that we are gone,
// and the watchdog sends the server its last signal.
type watchdog struct {
	cmd  *exec.Cmd
	pipe io.WriteCloser
}

// startWatchdog guards a process that was just started by us.
func startWatchdog(pid int, last syscall.Signal) (*watchdog, error) {
	c := exec.Command("/bin/sh", "-c", `read -r _; kill -"$1" "$0"`, strconv.Itoa(pid), strconv.Itoa(int(last)))
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	pipe, err := c.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := c.Start(); err != nil {
		return nil, err
	}
	return &watchdog{cmd: c, pipe: pipe}, nil
}

// end lets the watchdog go without a word, before the id it guards can belong to another process.
func (w *watchdog) end() {
	if w == nil {
		return
	}
	_ = w.cmd.Process.Kill() // fails only if it has gone already
	_ = w.cmd.Wait()         // always "killed"
	_ = w.pipe.Close()
}
