//go:build linux || darwin || freebsd

package main

import "syscall"

// freeBytes is the room that is left on the disk of a folder, if this process can see the folder at all.
func freeBytes(dir string) (free uint64, seen bool) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0, false
	}
	return uint64(s.Bavail) * uint64(s.Bsize), true //nolint:unconvert // the types differ between systems
}
