package devstack

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestADatabaseForATest(t *testing.T) {
	t.Parallel()
	a, b := Postgres(t), Postgres(t)
	a.Open(t).MustExecContext(t.Context(), "CREATE TABLE mine (n INT)")
	b.Open(t).MustExecContext(t.Context(), "CREATE TABLE mine (n INT)")
	if a.Server.Pid() != b.Server.Pid() {
		t.Error("two servers run for one test binary")
	}
	var name string
	t.Run("is gone after it", func(t *testing.T) { name = Postgres(t).Name })
	if got := mustQuery(t, a.URL, "SELECT count(*) FROM pg_database WHERE datname = '"+name+"'"); got != "0" {
		t.Errorf("%s databases named %s", got, name)
	}
	t.Run("on a server of its own is durable", func(t *testing.T) {
		own := OwnPostgres(t, map[string]string{"work_mem": "6MB"})
		if own.Server.Pid() == a.Server.Pid() || mustQuery(t, own.URL, "SHOW fsync") != "on" || mustQuery(t, own.URL, "SHOW work_mem") != "6MB" {
			t.Error("it is not its own, not durable or not set up as asked")
		}
	})
}

func TestLeftoversAreSweptAway(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	folder := func(name string, age time.Duration) string {
		dir := filepath.Join(os.TempDir(), testPrefix+name)
		lock := filepath.Join(dir, "LOCK")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(lock, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		then := time.Now().Add(-age)
		if err := os.Chtimes(lock, then, then); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	dead, young, taken := folder("dead", time.Hour), folder("young", time.Second), folder("taken", time.Hour)
	lock, err := lockDir(taken)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.release()
	if err := os.Chtimes(filepath.Join(taken, "LOCK"), time.Time{}, time.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	sweep()
	for dir, want := range map[string]bool{dead: false, young: true, taken: true} {
		if _, err := os.Stat(dir); (err == nil) != want {
			t.Errorf("%s stays: %t, want %t", filepath.Base(dir), err == nil, want)
		}
	}
}
