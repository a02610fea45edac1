package devstack

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// kernelKills: the kernel signals a child whose parent has died.
const kernelKills = true

// capDACReadSearch lets a process enter folders that are closed to its user.
const capDACReadSearch = 2

// dieWithParent asks for a signal when the parent dies.
func dieWithParent(a *syscall.SysProcAttr, last syscall.Signal) { a.Pdeathsig = last }

// enterAnywhere lets a server that runs as another user reach its files below a folder closed to it.
func enterAnywhere(a *syscall.SysProcAttr) bool {
	a.AmbientCaps = []uintptr{capDACReadSearch}
	return true
}

// processCommand is the command line of a living process, its arguments separated by blanks; "" if
// there is none. A zombie, which nobody has waited for yet, is dead.
func processCommand(pid int) string {
	folder := "/proc/" + strconv.Itoa(pid)
	stat, err := os.ReadFile(folder + "/stat")
	if err != nil {
		return ""
	}
	if state, _ := stateOf(string(stat)); state == "" || state == "Z" || state == "X" {
		return ""
	}
	line, err := os.ReadFile(folder + "/cmdline")
	if err != nil {
		return ""
	}
	return strings.ReplaceAll(string(line), "\x00", " ")
}

// childrenOf are the processes that a process has started and that live.
func childrenOf(pid int) []int {
	all, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is well formed
	var found []int
	for _, file := range all {
		stat, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		child, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if _, parent := stateOf(string(stat)); err == nil && parent == pid {
			found = append(found, child)
		}
	}
	return found
}

// stateOf reads a process' state and parent from its line in /proc; the name before them may contain anything.
func stateOf(stat string) (state string, parent int) {
	end := strings.LastIndex(stat, ") ")
	if end < 0 {
		return "", 0
	}
	fields := strings.Fields(stat[end+2:])
	if len(fields) < 2 {
		return "", 0
	}
	parent, _ = strconv.Atoi(fields[1]) // 0 is nobody's
	return fields[0], parent
}
