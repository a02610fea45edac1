//go:build !linux

package eventstore

import "syscall"

// limitUnacknowledged does nothing where there is no TCP_USER_TIMEOUT; keep-alives are the only net.
func limitUnacknowledged(string, string, syscall.RawConn) error { return nil }
