package devstack

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// ErrInUse: another process has this folder.
var ErrInUse = errors.New("the folder is in use")

// dirLock marks a folder as taken. The kernel frees it when the process ends, however it ends.
type dirLock struct{ file *os.File }

// lockDir takes the folder or returns ErrInUse with the id of the process that has it.
func lockDir(dir string) (*dirLock, error) {
	f, err := os.OpenFile(filepath.Join(dir, "LOCK"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			holder, _ := os.ReadFile(f.Name()) // only for the message
			err = fmt.Errorf("%w by process %s", ErrInUse, strings.TrimSpace(string(holder)))
		}
		return nil, errors.Join(err, f.Close())
	}
	if err := f.Truncate(0); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if _, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &dirLock{file: f}, nil
}

// release gives the folder back; a second call does nothing.
func (l *dirLock) release() error {
	if err := l.file.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}

// Lock takes a folder for this process, making it if it is missing, and returns what gives it back. ErrInUse:
// another process has it.
func Lock(dir string) (release func() error, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil { // a server that runs as another user must get through
		return nil, err
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	return lock.release, nil
}
