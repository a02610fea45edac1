package devstack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// owner is the user a server runs as. PostgreSQL refuses to run as root.
type owner struct {
	credential *syscall.Credential // nil: the user we are
	name       string
	anywhere   bool // may enter folders that are closed to the user
}

// serverOwner is the present user, or, when that is root, postgres or else nobody.
func serverOwner() (*owner, error) {
	if os.Geteuid() != 0 {
		return &owner{}, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uerr := strconv.ParseUint(u.Uid, 10, 32)
		gid, gerr := strconv.ParseUint(u.Gid, 10, 32)
		if uerr != nil || gerr != nil {
			continue
		}
		return &owner{name: name, credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, nil
	}
	return nil, errors.New("PostgreSQL can't run as root, and there is neither a user postgres nor nobody")
}

// command prepares a program to run as the owner, with an environment that is the same everywhere.
func (o *owner) command(program string, args ...string) *exec.Cmd {
	c := exec.Command(program, args...)
	c.Dir = "/" // our own working directory may be closed to the owner
	c.Env = []string{"PATH=/usr/bin:/bin", "LC_ALL=C", "TZ=UTC"}
	c.SysProcAttr = &syscall.SysProcAttr{Credential: o.credential}
	if o.anywhere {
		enterAnywhere(c.SysProcAttr)
	}
	return c
}

// mkdir makes a folder that only the owner can enter. One that exists becomes his.
func (o *owner) mkdir(dir string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return o.give(dir)
}

// give makes a file or folder the owner's.
func (o *owner) give(path string) error {
	if o.credential == nil {
		return nil
	}
	return os.Chown(path, int(o.credential.Uid), int(o.credential.Gid))
}

// reach sees to it that the owner can enter the data folder and run the programs.
func (o *owner) reach(ctx context.Context, dir string, bin binaries) error {
	if closed := o.closedAbove(bin.dir); closed != "" {
		return fmt.Errorf("user %s can't enter %s to run %s", o.name, closed, bin.version)
	}
	closed := o.closedAbove(dir)
	if closed == "" {
		return nil
	}
	refusal := fmt.Errorf("user %s can't enter %s: use another folder, or chmod o+x", o.name, closed)
	if o.anywhere = enterAnywhere(&syscall.SysProcAttr{}); !o.anywhere {
		return refusal
	}
	// Being root is not enough: a container may have taken the right to pass it on.
	if err := runQuietly(ctx, o.command(filepath.Join(bin.dir, "postgres"), "--version")); err != nil {
		return errors.Join(refusal, err)
	}
	return nil
}

// closedAbove is the first folder on the way to dir that the owner can't enter, "" if there is none.
func (o *owner) closedAbove(dir string) string {
	if o.credential == nil {
		return ""
	}
	info, err := os.Stat(dir)
	if err != nil {
		return dir
	}
	if above := filepath.Dir(dir); above != dir {
		if closed := o.closedAbove(above); closed != "" {
			return closed
		}
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	needed := os.FileMode(0o001)
	switch {
	case ok && stat.Uid == o.credential.Uid:
		needed = 0o100
	case ok && stat.Gid == o.credential.Gid:
		needed = 0o010
	}
	if info.Mode()&needed == 0 {
		return dir
	}
	return ""
}

// is reports whether a user id is the owner's or ours.
func (o *owner) is(uid uint32) bool {
	if o.credential != nil && uid == o.credential.Uid {
		return true
	}
	return int64(uid) == int64(os.Geteuid())
}
