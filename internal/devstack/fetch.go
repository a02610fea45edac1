package devstack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	embedded "github.com/fergusstrange/embedded-postgres"
)

// Fetch as PostgresConfig.Bin takes the programs from the cache folder, downloading them if they are not there.
const Fetch = "fetch"

// fetchVersion is the release that is fetched. Data folders live as long as its major version stays.
const fetchVersion = embedded.V18

// lockEvery is the pace of looking whether another process has finished fetching.
const lockEvery = 100 * time.Millisecond

// fetch returns the folder of the programs in the cache, downloading them the first time.
func fetch(ctx context.Context, cfg PostgresConfig, own *owner) (string, error) {
	cache, err := cacheDir(cfg.Cache, own)
	if err != nil {
		return "", err
	}
	target := filepath.Join(cache, fmt.Sprintf("postgres-%s-%s-%s", fetchVersion, runtime.GOOS, runtime.GOARCH))
	bin := filepath.Join(target, "bin")
	lock, err := awaitLock(ctx, cache)
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(bin); err == nil {
		return bin, lock.release()
	}
	fmt.Fprintf(cfg.Log, "No PostgreSQL found. Fetching PostgreSQL %s for %s/%s (embedded-postgres-binaries of zonky.io, from Maven Central) into %s\n",
		fetchVersion, runtime.GOOS, runtime.GOARCH, target)
	if err := unpack(ctx, cache, target); err != nil {
		return "", errors.Join(fmt.Errorf("fetch PostgreSQL %s: %w", fetchVersion, err), lock.release())
	}
	return bin, lock.release()
}

// awaitLock takes the cache folder; other processes may be fetching at the same time.
func awaitLock(ctx context.Context, cache string) (*dirLock, error) {
	for {
		lock, err := lockDir(cache)
		if !errors.Is(err, ErrInUse) {
			return lock, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for another download: %w", ctx.Err())
		case <-time.After(lockEvery):
		}
	}
}

// unpack downloads into a folder beside target and gives it its name when it is whole.
func unpack(ctx context.Context, cache, target string) error {
	stage, err := os.MkdirTemp(cache, "unpacking-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(stage) }() // what stays is in nobody's way
	done := make(chan error, 1)
	go func() { done <- download(stage) }()
	select {
	case err = <-done:
	case <-ctx.Done():
		return ctx.Err() // the download knows no context: it ends with the process
	}
	if err != nil {
		return err
	}
	files := filepath.Join(stage, "files")
	if err := openToAll(files); err != nil {
		return err
	}
	return os.Rename(files, target)
}

// download lets the library fetch, check and unpack the programs into stage/files. The library can
// only do so on its way to starting a server of its own, which must not happen: it can't run as root
// and deletes data folders of another version. So it is given a place for that server that it can't
// make, the last thing it tries before it would touch any data. The parent of that place exists
// only if everything was unpacked.
func download(stage string) error {
	unpacked := filepath.Join(stage, "unpacked")
	impossible := filepath.Join(unpacked, strings.Repeat("x", 1024)) // longer than any file system allows
	err := embedded.NewDatabase(embedded.DefaultConfig().
		Version(fetchVersion).
		CachePath(stage).
		BinariesPath(filepath.Join(stage, "files")).
		RuntimePath(impossible).
		Port(0).
		Logger(io.Discard)).Start()
	if err == nil {
		return errors.New("the library started a server")
	}
	if _, missing := os.Stat(unpacked); missing != nil {
		return err
	}
	return nil
}

// openToAll makes the programs readable for the user the server runs as, whatever our umask is.
func openToAll(dir string) error {
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.Type()&fs.ModeSymlink != 0 {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		mode := info.Mode().Perm() | 0o444
		if entry.IsDir() || mode&0o100 != 0 {
			mode |= 0o111
		}
		return os.Chmod(path, mode&^0o022)
	})
}

// cacheDir is a folder of ours for downloads that the server's user can enter.
func cacheDir(cache string, own *owner) (string, error) {
	if cache == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			return "", err
		}
		if own.closedAbove(base) != "" {
			base = "/var/cache" // only root comes here: his own folders are closed to others
		}
		cache = filepath.Join(base, "boxoffice")
	}
	cache, err := filepath.Abs(cache)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	return cache, os.Chmod(cache, 0o755) // whatever our umask is
}
