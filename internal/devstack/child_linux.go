package devstack

import (
	"os"
	"strconv"
	"strings"
	"syscall"
)

// kernelKills: the kernel signals a child whose parent has died.
const kernelKills = true

// capDACReadSearch lets a process enter folders that are closed to its user.
const capDACReadSearch = 2

// dieWithParent asks for a fast shutdown when the parent dies.
func dieWithParent(a *syscall.SysProcAttr) { a.Pdeathsig = syscall.SIGINT }

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
	if _, after, ok := strings.Cut(string(stat), ") "); !ok || after[0] == 'Z' || after[0] == 'X' {
		return ""
	}
	line, err := os.ReadFile(folder + "/cmdline")
	if err != nil {
		return ""
	}
	return strings.ReplaceAll(string(line), "\x00", " ")
}
