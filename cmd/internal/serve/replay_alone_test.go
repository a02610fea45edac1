package serve_test

import (
	"strings"
	"time"
)

// interruptLimit is how long a replay may go on after Ctrl-C.
const interruptLimit = 2 * time.Second

// atOnce starts several replays, of which one at a time may run.
func (l *library) atOnce(n int) {
	l.t.Helper()
	l.tamper("at once")
	all := make([]*replaying, n)
	for i := range all {
		all[i] = l.program.replay("all", "--yes")
	}
	ran := 0
	for _, r := range all {
		switch code := r.ends(); {
		case code == 0:
			ran++
		case code != 4 || !strings.Contains(r.String(), "(boxoffice replay) rebuilds read models") && !strings.Contains(r.String(), "just ended"):
			l.t.Errorf("one ended with %d: %s", code, r)
		}
	}
	l.t.Logf("of %d replays at once, %d ran", n, ran)
	if ran == 0 {
		l.t.Error("none ran")
	}
	l.sameModels("after several at once", l.live)
}

// interrupts does what Ctrl-C does as soon as each of the phases begins.
func (l *library) interrupts() {
	l.t.Helper()
	for _, segment := range l.rehearsal("all", "--yes").segments() {
		l.tamper(segment.name)
		tampered := l.digests()
		r := l.program.replay("all", "--yes")
		if segment.name != "start" {
			r.reaches(segment.name)
		}
		took := r.interrupt()
		code := r.cmd.ProcessState.ExitCode()
		l.t.Logf("interrupted at %s: exit %d after %s", segment.name, code, took.Round(time.Millisecond))
		if took > interruptLimit {
			l.t.Errorf("interrupted at %s it went on for %s", segment.name, took)
		}
		changed := l.oldOrNew("interrupted at "+segment.name, tampered)
		switch {
		case code == 0 && segment.name == "swap": // it was faster
			l.sameModels("it was faster", l.live)
		case code == -1 && segment.name == "start" && len(changed) == 0: // it did not listen to signals yet
		case code != 130 || !strings.Contains(r.String(), "untouched") || len(changed) > 0 && segment.name != "swap":
			l.t.Errorf("interrupted at %s it ended with %d, has changed %v and says %s", segment.name, code, changed, r)
		default:
			for _, name := range changed {
				if said, _, _ := strings.Cut(r.String(), ";"); !strings.Contains(said, name) {
					l.t.Errorf("it has swapped %s and does not say so: %s", name, r)
				}
			}
		}
		l.recovered("an interrupt at " + segment.name)
	}
}

// faults takes Postgres or the session with the lock away as soon as each of the phases begins.
func (l *library) faults() {
	l.t.Helper()
	for i, segment := range l.rehearsal("all", "--yes").segments()[1:] {
		l.tamper(segment.name)
		tampered := l.digests()
		r := l.program.replay("all", "--yes")
		r.reaches(segment.name)
		what := "Postgres crashed"
		if i%2 == 0 {
			if err := l.server.Crash(); err != nil {
				l.t.Fatal(err)
			}
			if err := l.server.Restart(l.t.Context()); err != nil {
				l.t.Fatal(err)
			}
		} else {
			what = "the session with the lock was ended"
			l.number(`SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
				WHERE datname = current_database() AND application_name LIKE '%(boxoffice replay)'`)
		}
		what += " at " + segment.name
		code := r.ends()
		l.t.Logf("%s: exit %d", what, code)
		eventually(l.t, "Postgres answers", func() string {
			if err := l.db.PingContext(l.t.Context()); err != nil {
				return err.Error()
			}
			return ""
		})
		changed := l.oldOrNew(what, tampered)
		fast := code == 0 && segment.name == "swap"
		if !fast && (code != 1 && code != 5 || !strings.Contains(r.String(), "untouched") || len(changed) > 0 && segment.name != "swap") {
			l.t.Errorf("%s, and it ended with %d, has changed %v and says %s", what, code, changed, r)
		}
		l.recovered(what)
	}
}
