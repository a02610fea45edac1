package devstack

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

const (
	maxSocketPath = 100 // bytes; the limit of the kernel is 104 or 108
	logTailBytes  = 4096
	maxLogBytes   = 16 << 20 // a larger postgres.log is started anew
)

// initialize makes the data folder if there is none and returns the superuser's password. Other users
// of the machine can reach the loopback port, so it asks for a password like the socket.
func (p *PostgresServer) initialize(ctx context.Context) (string, error) {
	secret := filepath.Join(p.cfg.Dir, "password")
	if _, err := os.Stat(filepath.Join(p.data(), "PG_VERSION")); err == nil {
		text, err := os.ReadFile(secret)
		return strings.TrimSpace(string(text)), err
	}
	password := rand.Text()
	if err := os.WriteFile(secret, []byte(password+"\n"), 0o600); err != nil {
		return "", err
	}
	if err := p.owner.give(secret); err != nil {
		return "", err
	}
	// A half-made folder must not pass for a whole one after a crash, so it gets its name last.
	fresh := p.data() + ".new"
	if err := os.RemoveAll(fresh); err != nil {
		return "", err
	}
	args := []string{
		"-D", fresh, "-U", superuser, "-A", "scram-sha-256", "--pwfile", secret,
		"-E", "UTF8", "--locale=C", "--no-instructions",
	}
	if p.cfg.NoSync {
		args = append(args, "--no-sync")
	}
	c := p.owner.command(filepath.Join(p.bin.dir, "initdb"), args...)
	if err := runQuietly(ctx, c); err != nil {
		return "", err
	}
	return password, os.Rename(fresh, p.data())
}

// socketDir is a folder for the unix socket that only the owner can enter: beside the data, or, where
// that path is too long for a socket, a short one whose name follows from the folder's.
func socketDir(dir string, own *owner) (string, error) {
	socket := filepath.Join(dir, "run")
	if len(filepath.Join(socket, ".s.PGSQL.65535.lock")) > maxSocketPath {
		sum := sha256.Sum256([]byte(dir))
		socket = filepath.Join(os.TempDir(), "boxoffice-"+hex.EncodeToString(sum[:6]))
	}
	if err := os.Mkdir(socket, 0o700); err == nil {
		return socket, own.give(socket)
	} else if !errors.Is(err, os.ErrExist) {
		return "", err
	}
	// Somebody else's folder at that name would let him pose as the server.
	info, err := os.Lstat(socket)
	if err != nil {
		return "", err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !info.IsDir() || info.Mode().Perm() != 0o700 || !ok || !own.is(stat.Uid) {
		return "", fmt.Errorf("%s is not a private folder of the server's user", socket)
	}
	return socket, own.give(socket)
}

// cleanSocket removes a socket folder that is not inside Dir.
func (p *PostgresServer) cleanSocket() error {
	if p.socket == "" || filepath.Dir(p.socket) == p.cfg.Dir {
		return nil
	}
	return os.RemoveAll(p.socket)
}

// openLog opens the server's log for appending; one that has grown too large is started anew.
func openLog(path string, own *owner) (*os.File, error) {
	flags := os.O_CREATE | os.O_APPEND | os.O_WRONLY
	if info, err := os.Stat(path); err == nil && info.Size() > maxLogBytes {
		flags |= os.O_TRUNC
	}
	f, err := os.OpenFile(path, flags, 0o600)
	if err != nil {
		return nil, err
	}
	if err := own.give(path); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// logTail is the end of the server's log, for an error message.
func logTail(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(text[max(0, len(text)-logTailBytes):]))
}
