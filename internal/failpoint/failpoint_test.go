package failpoint

import (
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestPointsActWhenTheyAreToldTo(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, spec   string
		hits         int
		fails, kills int
	}{
		{"an error at every hit", "p=error", 3, 3, 0},
		{"an error at the second hit alone", "p=error@2", 4, 1, 0},
		{"a kill at the third hit", "q=error; p=kill@3", 3, 0, 1},
		{"another point's action is not ours", "q=error", 3, 0, 0},
		{"no points at all", "", 3, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			all, err := parse(c.spec)
			if err != nil {
				t.Fatal(err)
			}
			var fails, kills int
			for range c.hits {
				if err := all.hit("p", func() { kills++ }); errors.Is(err, ErrInjected) {
					fails++
				}
			}
			if fails != c.fails || kills != c.kills {
				t.Errorf("%d errors and %d kills, want %d and %d", fails, kills, c.fails, c.kills)
			}
		})
	}
	t.Run("a delay delays", func(t *testing.T) {
		t.Parallel()
		all, err := parse("p=delay:20ms")
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		if err := all.hit("p", killSelf); err != nil || time.Since(begin) < 20*time.Millisecond {
			t.Errorf("returned %v after %v", err, time.Since(begin))
		}
	})
}

func TestWhatCannotBeReadIsRefused(t *testing.T) {
	t.Parallel()
	for _, spec := range []string{"p", "=kill", "p=explode", "p=kill@0", "p=kill@x", "p=delay", "p=delay:soon", "p=error:42"} {
		if _, err := parse(spec); err == nil {
			t.Errorf("%q was taken", spec)
		}
	}
}

func TestTheBuildTagDecides(t *testing.T) {
	t.Parallel()
	run := func(tags, points string) (string, error) {
		program := filepath.Join(t.TempDir(), "program")
		if out, err := exec.CommandContext(t.Context(), "go", "build", "-tags", tags, "-o", program, "./testdata/program").CombinedOutput(); err != nil {
			t.Fatalf("build: %v\n%s", err, out)
		}
		c := exec.CommandContext(t.Context(), program)
		c.Env = []string{"FAILPOINTS=" + points}
		out, err := c.Output()
		return strings.TrimSpace(string(out)), err
	}
	t.Run("without it nothing happens", func(t *testing.T) {
		if out, err := run("", "point=kill@2"); err != nil || out != "1 2 3" {
			t.Errorf("printed %q and ended with %v", out, err)
		}
	})
	t.Run("with it the process dies at the point", func(t *testing.T) {
		out, err := run("failpoints", "point=kill@2")
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL || out != "1" {
			t.Errorf("printed %q and ended with %v", out, err)
		}
	})
	t.Run("with it and a mistake in it the process panics", func(t *testing.T) {
		if out, err := run("failpoints", "point=boom"); err == nil {
			t.Errorf("printed %q and went on", out)
		}
	})
}
