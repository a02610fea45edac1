package main

import (
	"errors"
	"strings"
	"testing"

	"boxoffice/eventstore"
	"boxoffice/internal/devstack"
)

// testLock belongs to nobody else.
const testLock = int64(0x7465737400000001)

func TestALockNamesItsHolder(t *testing.T) {
	t.Parallel()
	pg := devstack.Postgres(t)
	_, url := pg.Role(t)
	l := lock{testLock, "boxoffice test", "tries a lock"}
	first, err := eventstore.OpenDB(pg.URL, 2)
	if err != nil {
		t.Fatal(err)
	}
	session, err := lockSession(t.Context(), first, l, "box-1")
	if err != nil {
		t.Fatal(err)
	}
	for whose, address := range map[string]string{"the same role": pg.URL, "another role": url} {
		second, err := eventstore.OpenDB(address, 2)
		if err != nil {
			t.Fatal(err)
		}
		_, err = lockSession(t.Context(), second, l, "box-2")
		var held *heldError
		if !errors.As(err, &held) || !strings.Contains(held.Error(), "on box-1 (boxoffice test) tries a lock") {
			t.Errorf("%s is told: %v", whose, err)
		}
		other, err := lockSession(t.Context(), second, lock{testLock + 1, "boxoffice test", "tries a lock"}, "box-2")
		if err != nil {
			t.Fatalf("%s, another lock: %v", whose, err)
		}
		if err := errors.Join(other.Close(), second.Close()); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(session.Close(), first.Close()); err != nil {
		t.Fatal(err)
	}
	third, err := eventstore.OpenDB(pg.URL, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = third.Close() }()
	session, err = lockSession(t.Context(), third, l, "")
	if err != nil {
		t.Fatalf("after the holder has gone: %v", err)
	}
	_ = session.Close()
}
