//go:build !linux && !darwin && !freebsd

package main

// freeBytes is not known on this system.
func freeBytes(string) (free uint64, seen bool) { return 0, false }
