package devstack

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The first run of this test downloads 15 MB; later ones find them in the user's cache folder.
func TestAMachineWithoutPostgresFetchesIt(t *testing.T) {
	t.Parallel()
	var said bytes.Buffer
	p := serve(t, PostgresConfig{Dir: filepath.Join(openDir(t), "pg"), Bin: Fetch, Log: &said})
	mustQuery(t, p.URL("postgres"), keep)
	if want := "PostgreSQL " + strings.TrimSuffix(string(fetchVersion), ".0"); p.Version() != want {
		t.Errorf("%s runs, want %s", p.Version(), want)
	}
	if said.Len() > 0 && !strings.Contains(said.String(), filepath.Dir(p.Bin())) {
		t.Errorf("it does not say where it unpacks to: %s", said.String())
	}
	left, err := filepath.Glob(filepath.Join(filepath.Dir(filepath.Dir(p.Bin())), "unpacking-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func TestTheMachinesOwnPostgresIsPreferred(t *testing.T) {
	empty := t.TempDir()
	t.Setenv("PATH", empty)
	for _, dir := range installed() {
		if _, err := inspect(t.Context(), dir); err != nil {
			t.Errorf("%s: %v", dir, err)
		}
	}
	tools := filepath.Join(empty, "tools")
	if err := os.Mkdir(tools, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(tools, "initdb"), []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(tools, "initdb"), filepath.Join(empty, "initdb")); err != nil {
		t.Fatal(err)
	}
	dirs := installed()
	resolved, err := filepath.EvalSymlinks(tools)
	if err != nil {
		t.Fatal(err)
	}
	if len(dirs) == 0 || dirs[0] != resolved {
		t.Errorf("the first choice of %v is not what PATH leads to, %s", dirs, resolved)
	}
}

func TestVersionsAreRead(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		"PostgreSQL 15.18 (Debian 15.18-0+deb12u1)": 15, "/usr/lib/postgresql/17/bin": 17, "9.6\n": 9, "18\n": 18, "": 0,
	} {
		if got := firstNumber(text); got != want {
			t.Errorf("major version of %q is %d, want %d", text, got, want)
		}
	}
}
