package serve_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"boxoffice/projections"
)

// replaying is a process of boxoffice replay, and what it tells.
type replaying struct {
	o     *office
	cmd   *exec.Cmd
	begun time.Time
	took  time.Duration // read after ended
	news  chan struct{} // filled when something was told
	ended chan struct{}

	mu     sync.Mutex
	told   []replayStep
	said   bytes.Buffer // what is no step, of stderr
	stdout bytes.Buffer // read after ended
}

// replayStep is a line of NDJSON of a replay, and when it came.
type replayStep struct {
	Phase       string
	Pass        int
	Done, Total int64
	after       time.Duration // from the process' start
}

// name is a phase, with its pass where it comes again.
func (s replayStep) name() string {
	if s.Pass > 1 {
		return fmt.Sprintf("%s %d", s.Phase, s.Pass)
	}
	return s.Phase
}

// replay runs boxoffice replay with more words on its command line.
func (p *program) replay(args ...string) *replaying {
	t := p.o.t
	t.Helper()
	r := &replaying{
		o: p.o, cmd: exec.Command(p.path, append([]string{"replay", "--json"}, args...)...), // it ends by signals
		news: make(chan struct{}, 1), ended: make(chan struct{}),
	}
	r.cmd.Env, r.cmd.Dir, r.cmd.Stdout = p.environ, t.TempDir(), &r.stdout
	stderr, err := r.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	r.begun = time.Now()
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(r.ended)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			r.note(lines.Bytes())
		}
		_ = r.cmd.Wait() // its state says how it ended
		r.took = time.Since(r.begun)
	}()
	t.Cleanup(r.kill)
	return r
}

func (r *replaying) note(line []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := replayStep{after: time.Since(r.begun)}
	if json.Unmarshal(line, &s) == nil && s.Phase != "" {
		r.told = append(r.told, s)
	} else {
		r.said.Write(append(line, '\n'))
	}
	select {
	case r.news <- struct{}{}:
	default:
	}
}

// steps is what was told by now.
func (r *replaying) steps() []replayStep {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.told)
}

func (r *replaying) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.said.String()
}

// reaches waits until a phase begins; false: the process ended before.
func (r *replaying) reaches(phase string) bool {
	for {
		for _, s := range r.steps() {
			if s.name() == phase {
				return true
			}
		}
		select {
		case <-r.news:
		case <-r.ended:
			return slices.ContainsFunc(r.steps(), func(s replayStep) bool { return s.name() == phase })
		}
	}
}

// ends waits until the process has ended by itself, and returns its exit code.
func (r *replaying) ends() int {
	r.o.t.Helper()
	select {
	case <-r.ended:
	case <-time.After(startPatience):
		r.o.t.Fatalf("a replay has not ended after %s: %v %s", startPatience, r.steps(), r)
	}
	return r.cmd.ProcessState.ExitCode()
}

// mustEnd is ends for a replay that has to succeed.
func (r *replaying) mustEnd() {
	r.o.t.Helper()
	if code := r.ends(); code != 0 {
		r.o.t.Fatalf("a replay ended with %d after %v: %s", code, r.steps(), r)
	}
}

// kill ends the process without giving it a chance; a second call does nothing.
func (r *replaying) kill() {
	_ = r.cmd.Process.Kill() // it may have ended
	<-r.ended
}

// interrupt is what Ctrl-C does. It returns how long the process went on.
func (r *replaying) interrupt() time.Duration {
	r.o.t.Helper()
	begun := time.Now()
	if err := r.cmd.Process.Signal(os.Interrupt); err != nil && !strings.Contains(err.Error(), "finished") {
		r.o.t.Fatal(err)
	}
	r.ends()
	return time.Since(begun)
}

// segment is a part of a replay's time, between two things that it tells.
type segment struct {
	name string // "start", or of a phase
	took time.Duration
}

func (s segment) String() string { return s.name + " " + s.took.Round(time.Millisecond).String() }

// segments are the parts of a replay that has ended, each up to the first sign of another one.
func (r *replaying) segments() []segment {
	all := []segment{{name: "start"}}
	last := time.Duration(0)
	for _, s := range r.steps() {
		if !slices.ContainsFunc(all, func(known segment) bool { return known.name == s.name() }) {
			all[len(all)-1].took = s.after - last
			all, last = append(all, segment{name: s.name()}), s.after
		}
	}
	all[len(all)-1].took = max(r.took-last, time.Millisecond)
	return all
}

// models are the tables of all read models, by projection.
func models() map[string][]string {
	all := map[string][]string{}
	for _, p := range projections.All() {
		all[p.Definition().Name] = p.Definition().Tables
	}
	return all
}

// digests are what the tables of each read model hold, all at one moment.
func (o *office) digests() map[string]string {
	o.t.Helper()
	tx, err := o.db.BeginTxx(o.t.Context(), nil)
	if err != nil {
		o.t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.ExecContext(o.t.Context(), `SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY`); err != nil {
		o.t.Fatal(err)
	}
	all := map[string]string{}
	for name, tables := range models() {
		for _, table := range tables {
			var digest string
			err := tx.GetContext(o.t.Context(), &digest, `SELECT count(*) || ' ' || coalesce(md5(string_agg(t::text, E'\n' ORDER BY t::text COLLATE "C")), '') FROM `+table+` AS t`)
			if err != nil {
				o.t.Fatal(err)
			}
			all[name] += table + " " + digest + "; "
		}
	}
	return all
}

// tamper changes a row of each table that has some, so that it can be told from a rebuilt one.
func (o *office) tamper(mark string) {
	o.t.Helper()
	tx, err := o.db.BeginTxx(o.t.Context(), nil)
	if err != nil {
		o.t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	for _, tables := range models() {
		for _, table := range tables {
			column := map[string]string{
				"shows": "name", "ticket_types": "name", "availability": "capacity", "order_status": "reason", "open_items": "detail", "sales_by_day": "revenue",
			}[table]
			value := `'tampered ` + mark + `'`
			if column == "capacity" || column == "revenue" {
				value = column + " + 1"
			}
			if column == "" {
				o.t.Fatalf("say how to tamper with %s", table)
			}
			if _, err := tx.ExecContext(o.t.Context(), fmt.Sprintf(`UPDATE %s SET %s = %s WHERE ctid = (SELECT min(ctid) FROM %[1]s)`, table, column, value)); err != nil {
				o.t.Fatal(err)
			}
		}
	}
	if err := tx.Commit(); err != nil {
		o.t.Fatal(err)
	}
}

// leftovers are the schemas that a replay has made.
func (o *office) leftovers() int64 {
	o.t.Helper()
	return o.number(`SELECT count(*) FROM pg_namespace WHERE nspname LIKE '%\_replay%'`)
}

// awaitNoReplay waits until the server has noticed that a replay has gone.
func (o *office) awaitNoReplay() {
	o.t.Helper()
	eventually(o.t, "the sessions of replays have ended", func() string {
		if n := o.number(`SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE '%(boxoffice replay)'`); n > 0 {
			return fmt.Sprintf("%d have not", n)
		}
		return ""
	})
}

// awaitModels waits until the relay and the read models have everything, and the log does not grow.
func (o *office) awaitModels() {
	o.t.Helper()
	within(o.t, 3*patience, "read models have caught up", func() string {
		head := o.head()
		if relayed := o.relayed(); relayed != head {
			return fmt.Sprintf("the relay is at %d of %d", relayed, head)
		}
		for _, p := range projections.All() {
			for _, b := range o.bounds(p.Definition().Topic) {
				if read := o.next(p.Definition().Name, b); read != b.Newest {
					return fmt.Sprintf("%s is at %d of %d in partition %d", p.Definition().Name, read, b.Newest, b.Partition)
				}
			}
		}
		if n := o.number(`SELECT count(*) FROM due WHERE at < now()`); n > 0 {
			return fmt.Sprintf("%d shows have something to do", n)
		}
		if now := o.head(); now != head {
			return fmt.Sprintf("the log went from %d to %d", head, now)
		}
		return ""
	})
}

// differing names the read models whose digests are not those.
func differing(have, want map[string]string) []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if have[name] != want[name] {
			names = append(names, name)
		}
	}
	return names
}

// sameModels fails where read models hold anything else.
func (o *office) sameModels(when string, want map[string]string) {
	t := o.t
	t.Helper()
	have := o.digests()
	for _, name := range differing(have, want) {
		t.Errorf("%s: %s is\n%s and not\n%s", when, name, have[name], want[name])
	}
	if t.Failed() {
		t.FailNow()
	}
}
