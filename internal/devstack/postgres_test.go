package devstack

import (
	"errors"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const keep = "CREATE TABLE kept AS SELECT 'still here' AS what; SELECT what FROM kept"

func TestAServerKeepsItsData(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(openDir(t), "pg")
	p := serve(t, PostgresConfig{Dir: dir, Settings: map[string]string{"work_mem": "5MB"}})
	keeps := func(t *testing.T) {
		t.Helper()
		if got := mustQuery(t, p.URL("postgres"), "SELECT what FROM kept"); got != "still here" {
			t.Errorf("read %q", got)
		}
	}
	mustQuery(t, p.SocketURL("postgres"), keep)
	t.Run("and is durable and set up as asked", func(t *testing.T) {
		for name, want := range map[string]string{"fsync": "on", "synchronous_commit": "on", "work_mem": "5MB", "server_encoding": "UTF8"} {
			if got := mustQuery(t, p.URL("postgres"), "SHOW "+name); got != want {
				t.Errorf("%s is %s, want %s", name, got, want)
			}
		}
	})
	t.Run("over a crash, on the same port", func(t *testing.T) {
		before := p.URL("postgres")
		if err := p.Crash(); err != nil {
			t.Fatal(err)
		}
		if p.Pid() != 0 {
			t.Error("a crashed server has a process id")
		}
		if err := p.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		keeps(t)
		if p.URL("postgres") != before {
			t.Error("the URL has changed")
		}
	})
	t.Run("over a stop and a new start", func(t *testing.T) {
		if err := p.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := p.Restart(t.Context()); err == nil {
			t.Error("a server was restarted after Stop")
		}
		begin := time.Now()
		p = serve(t, PostgresConfig{Dir: dir})
		t.Logf("second start on kept data: %v", time.Since(begin))
		keeps(t)
	})
}

func TestAServerRefusesWhatIsNotIts(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(openDir(t), "pg")
	p := serve(t, PostgresConfig{Dir: dir})
	t.Run("a second server on its folder", func(t *testing.T) {
		_, err := StartPostgres(t.Context(), PostgresConfig{Dir: dir})
		if !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), strconv.Itoa(os.Getpid())) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a client without the password", func(t *testing.T) {
		for _, address := range []string{p.URL("postgres"), p.SocketURL("postgres")} {
			u, err := url.Parse(address)
			if err != nil {
				t.Fatal(err)
			}
			u.User = url.UserPassword(superuser, "guess")
			if _, err := query(t, u.String(), "SELECT 'in'"); err == nil {
				t.Errorf("a wrong password is enough for %s", u.Redacted())
			}
		}
	})
	t.Run("other users in its folder", func(t *testing.T) {
		for _, path := range []string{dir, filepath.Join(dir, "data"), filepath.Join(dir, "run"), filepath.Join(dir, "password")} {
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			if info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s has mode %v", path, info.Mode())
			}
		}
	})
	t.Run("data of another major version, untouched", func(t *testing.T) {
		other := filepath.Join(openDir(t), "pg")
		version := filepath.Join(other, "data", "PG_VERSION")
		if err := os.MkdirAll(filepath.Dir(version), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(version, []byte("9.6\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := StartPostgres(t.Context(), PostgresConfig{Dir: other, Bin: p.Bin()})
		if err == nil || !strings.Contains(err.Error(), "was made by PostgreSQL 9") {
			t.Errorf("got %v", err)
		}
		if _, err := os.Stat(version); err != nil {
			t.Error(err)
		}
	})
	t.Run("settings it does not know, with its own words", func(t *testing.T) {
		_, err := StartPostgres(t.Context(), PostgresConfig{
			Dir: filepath.Join(openDir(t), "pg"), NoSync: true, Settings: map[string]string{"no_such_setting": "1"},
		})
		if err == nil || !strings.Contains(err.Error(), `unrecognized configuration parameter "no_such_setting"`) {
			t.Errorf("got %v", err)
		}
	})
}

func TestAServerDoesNotOutliveItsParent(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(openDir(t), "pg")
	h, err := startHelper(t, nil, "server", dir)
	if err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(dir, "data")
	if pid := orphanOf(data); pid != h.pid {
		t.Fatalf("server %d runs, want %d", pid, h.pid)
	}
	t.Run("which holds its folder", func(t *testing.T) {
		if _, err := StartPostgres(t.Context(), PostgresConfig{Dir: dir}); !errors.Is(err, ErrInUse) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("and whose successor finds everything free", func(t *testing.T) {
		h.kill(t)
		p := serve(t, PostgresConfig{Dir: dir})
		if p.Pid() == h.pid || processCommand(h.pid) != "" {
			t.Error("the old server still runs")
		}
		mustQuery(t, p.URL("postgres"), keep)
	})
	t.Run("and leaves nothing when it is killed and nobody follows", func(t *testing.T) {
		other := filepath.Join(openDir(t), "pg")
		h, err := startHelper(t, nil, "server", other)
		if err != nil {
			t.Fatal(err)
		}
		h.kill(t)
		eventually(t, "the server ends", func() bool { return processCommand(h.pid) == "" })
	})
	t.Run("where a watchdog does the kernel's work, too", func(t *testing.T) {
		h, err := startHelper(t, nil, "watchdog")
		if err != nil {
			t.Fatal(err)
		}
		if processCommand(h.pid) == "" {
			t.Fatal("the guarded process has ended too early")
		}
		h.kill(t)
		eventually(t, "the guarded process ends", func() bool { return processCommand(h.pid) == "" })
	})
}

func TestAServerRunsAsAUserWhoIsNotRoot(t *testing.T) {
	t.Parallel()
	p := serve(t, PostgresConfig{Dir: filepath.Join(openDir(t), "pg")})
	info, err := os.Stat(filepath.Join(p.data(), "PG_VERSION"))
	if err != nil {
		t.Fatal(err)
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); !ok || stat.Uid == 0 {
		t.Error("the data belongs to root")
	}
	if os.Geteuid() != 0 {
		return // what follows is how root gets there; we are such a user already
	}
	t.Run("started by that user himself", func(t *testing.T) {
		dir := openDir(t)
		nobody := &syscall.Credential{Uid: 65534, Gid: 65534}
		if err := os.Chown(dir, int(nobody.Uid), int(nobody.Gid)); err != nil {
			t.Fatal(err)
		}
		h, err := startHelper(t, nobody, "server", filepath.Join(dir, "pg"))
		if err != nil {
			t.Fatal(err)
		}
		h.kill(t)
		eventually(t, "the server ends", func() bool { return processCommand(h.pid) == "" })
	})
	t.Run("below a folder that only root can enter", func(t *testing.T) {
		closed := openDir(t)
		if err := os.Chmod(closed, 0o700); err != nil {
			t.Fatal(err)
		}
		h, err := startHelper(t, nil, "server", filepath.Join(closed, "pg"))
		if err != nil {
			t.Fatal(err)
		}
		h.kill(t)
		eventually(t, "the server ends", func() bool { return processCommand(h.pid) == "" })
	})
}

func TestAStartCopesWithWhatItFinds(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(openDir(t), strings.Repeat("long", 20), "pg")
	p := serve(t, PostgresConfig{Dir: dir})
	t.Run("a path too long for a socket", func(t *testing.T) {
		if len(p.socket) > maxSocketPath || mustQuery(t, p.SocketURL("postgres"), "SELECT 'in'") != "in" {
			t.Errorf("the socket is in %s", p.socket)
		}
	})
	if err := p.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(p.socket); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket's folder stays: %v", err)
	}
	t.Run("a pid file that names somebody else's process", func(t *testing.T) {
		bystander := exec.CommandContext(t.Context(), "sleep", "600")
		if err := bystander.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() {
			_ = bystander.Process.Kill()
			_ = bystander.Wait()
		}()
		stale := strconv.Itoa(bystander.Process.Pid) + "\n" + p.data() + "\n0\n"
		if err := os.WriteFile(filepath.Join(p.data(), "postmaster.pid"), []byte(stale), 0o600); err != nil {
			t.Fatal(err)
		}
		if pid := orphanOf(p.data()); pid != 0 {
			t.Errorf("took process %d for a server", pid)
		}
	})
	t.Run("a pid file of a server that is gone", func(t *testing.T) {
		gone := exec.CommandContext(t.Context(), "true")
		if err := gone.Run(); err != nil {
			t.Fatal(err)
		}
		stale := strconv.Itoa(gone.Process.Pid) + "\n" + p.data() + "\n0\n"
		file := filepath.Join(p.data(), "postmaster.pid")
		if err := errors.Join(os.WriteFile(file, []byte(stale), 0o600), p.owner.give(file)); err != nil {
			t.Fatal(err)
		}
		mustQuery(t, serve(t, PostgresConfig{Dir: dir}).URL("postgres"), keep)
	})
	t.Run("a half-made data folder", func(t *testing.T) {
		dir := filepath.Join(openDir(t), "pg")
		half := filepath.Join(dir, "data.new", "PG_VERSION")
		if err := os.MkdirAll(filepath.Dir(half), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(half, []byte("15\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		mustQuery(t, serve(t, PostgresConfig{Dir: dir}).URL("postgres"), keep)
	})
}

func TestAServerInheritsNoDescriptors(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	// A descriptor like one that a shell left open in us: not marked to be closed in children.
	leaked, err := syscall.Dup(int(w.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	serve(t, PostgresConfig{Dir: filepath.Join(openDir(t), "pg")})
	if err := errors.Join(w.Close(), syscall.Close(leaked)); err != nil {
		t.Fatal(err)
	}
	if err := r.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the server holds our pipe open")
	}
}
