package main

import "context"

// dlqLock is the advisory lock of whoever retries or discards ("boxodlq"): two at once would send a letter twice.
const dlqLock = int64(0x626f786f646c71)

// lock makes this process the only one that changes what stands aside, until the depot is closed. Errors:
// *heldError, faults of the server.
func (d *depot) lock(ctx context.Context, hostname string) (err error) {
	d.locked, err = lockSession(ctx, d.db, lock{dlqLock, "boxoffice dlq", "retries or discards"}, hostname)
	return err
}
