package devstack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"syscall"
)

// oldestMajor is the oldest PostgreSQL that the schema runs on; an older one on the machine is passed over.
const oldestMajor = 14

// binaries are the programs of one PostgreSQL release.
type binaries struct {
	dir     string
	version string // such as "PostgreSQL 18.3"
	major   int
}

// findBinaries picks the programs for a data folder: those of cfg.Bin if it says so, else of the
// machine, else fetched. Data that exists can only be run by its own major version.
func findBinaries(ctx context.Context, cfg PostgresConfig, data string, own *owner) (binaries, error) {
	wanted := dataMajor(data)
	fit := func(b binaries) bool { return b.major >= oldestMajor && (wanted == 0 || b.major == wanted) }
	if cfg.Bin == "" {
		cfg.Bin = os.Getenv("PG_BIN")
	}
	if cfg.Bin != "" && cfg.Bin != Fetch {
		b, err := inspect(ctx, cfg.Bin)
		if err == nil && !fit(b) {
			err = unfit(b, data, wanted)
		}
		return b, err
	}
	if cfg.Bin == "" {
		for _, dir := range installed() {
			if b, err := inspect(ctx, dir); err == nil && fit(b) {
				return b, nil
			}
		}
	}
	dir, err := fetch(ctx, cfg, own)
	if err != nil {
		return binaries{}, fmt.Errorf("no PostgreSQL %d or newer on this machine, and none could be fetched: %w", max(oldestMajor, wanted), err)
	}
	b, err := inspect(ctx, dir)
	if err == nil && !fit(b) {
		err = unfit(b, data, wanted)
	}
	return b, err
}

func unfit(b binaries, data string, wanted int) error {
	if wanted == 0 {
		return fmt.Errorf("%s in %s is older than %d", b.version, b.dir, oldestMajor)
	}
	return fmt.Errorf("the data in %s was made by PostgreSQL %d and can't be run by %s in %s", data, wanted, b.version, b.dir)
}

// installed are the folders of this machine that may have the programs, best first.
func installed() []string {
	var dirs []string
	if p, err := exec.LookPath("initdb"); err == nil {
		if p, err = filepath.EvalSymlinks(p); err == nil {
			dirs = append(dirs, filepath.Dir(p))
		}
	}
	for _, pattern := range []string{"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql@*/bin", "/usr/local/opt/postgresql@*/bin"} {
		found, _ := filepath.Glob(pattern) // the patterns are well formed
		sort.Slice(found, func(i, j int) bool { return firstNumber(found[i]) > firstNumber(found[j]) })
		dirs = append(dirs, found...)
	}
	return dirs
}

var number = regexp.MustCompile(`\d+`)

// firstNumber is the major version in a path or in a program's version line, 0 if there is none.
func firstNumber(s string) int {
	n, err := strconv.Atoi(number.FindString(s))
	if err != nil {
		return 0
	}
	return n
}

// inspect asks the programs in dir for their version.
func inspect(ctx context.Context, dir string) (binaries, error) {
	if _, err := os.Stat(filepath.Join(dir, "initdb")); err != nil {
		return binaries{}, err
	}
	out, err := exec.CommandContext(ctx, filepath.Join(dir, "postgres"), "--version").Output()
	if err != nil {
		return binaries{}, fmt.Errorf("postgres in %s: %w", dir, err)
	}
	version := strings.Replace(strings.TrimSpace(string(out)), "postgres (PostgreSQL)", "PostgreSQL", 1)
	return binaries{dir: dir, version: version, major: firstNumber(version)}, nil
}

// dataMajor is the major version that made the data folder, 0 if there is none.
func dataMajor(data string) int {
	text, err := os.ReadFile(filepath.Join(data, "PG_VERSION"))
	if err != nil {
		return 0
	}
	return firstNumber(string(text))
}

// runQuietly runs a program to its end; what it printed is told only if it fails.
func runQuietly(ctx context.Context, c *exec.Cmd) error {
	var out bytes.Buffer
	c.Stdout, c.Stderr, c.WaitDelay = &out, &out, killTimeout
	ch, err := startChild(c)
	if err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(c.Path), err)
	}
	select {
	case <-ch.done:
	case <-ctx.Done():
		return errors.Join(ctx.Err(), ch.stop(syscall.SIGKILL, killTimeout, killTimeout))
	}
	ch.watchdog.end()
	if ch.err != nil {
		return fmt.Errorf("%s: %w\n%s", filepath.Base(c.Path), ch.err, strings.TrimSpace(out.String()))
	}
	return nil
}
