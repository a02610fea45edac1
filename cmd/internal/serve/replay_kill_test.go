package serve_test

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"boxoffice/cmd/internal/config"
	"boxoffice/internal/devstack"
	"boxoffice/projections/logtest"
)

var (
	replayKills  = flag.Int("replay-kills", 6, "how often a replay is killed")
	replayEvents = flag.Int("replay-events", 8_000, "events of the log that is replayed")
	replaySeed   = flag.Uint64("replay-seed", 20261122, "of the moments at which a replay is killed")
)

// library is an office with a log that does not grow any more, a process that answers, and the program.
type library struct {
	*office
	process *process
	program *program
	server  *devstack.PostgresServer
	live    map[string]string // what the live fold has made of the log
}

func newLibrary(t *testing.T, events int) *library {
	t.Helper()
	postgres := devstack.OwnPostgres(t, nil)
	o := openOn(t, postgres.URL, devstack.Kafka(t), longHold)
	logtest.Write(t, o.db, logtest.Plan{Events: events, Shows: 20, Seed: 1})
	l := &library{office: o, process: o.start("one", config.API, config.Relay, config.Projections), program: o.built(), server: postgres.Server}
	eventually(t, "it answers", func() string {
		if a := l.process.send("GET", "/shows", nil); a.status != http.StatusOK {
			return a.String()
		}
		return ""
	})
	o.awaitModels()
	l.live = o.digests()
	return l
}

// rehearsal is a replay that nobody disturbs.
func (l *library) rehearsal(way ...string) *replaying {
	l.t.Helper()
	r := l.program.replay(way...)
	r.mustEnd()
	l.t.Logf("replay %s: %v", strings.Join(way, " "), r.segments())
	l.sameModels("a replay that nobody disturbs", l.live)
	return r
}

// recovered proves that the next replay makes everything right, and leaves nothing behind.
func (l *library) recovered(after string) {
	l.t.Helper()
	l.program.replay("all", "--yes").mustEnd()
	l.sameModels("the replay after "+after, l.live)
	if n := l.leftovers(); n != 0 {
		l.t.Errorf("after the replay that follows %s there are %d schemas of replays", after, n)
	}
}

// oldOrNew fails where a read model is neither as it was nor as the log says. It names those that are not as they were.
func (l *library) oldOrNew(when string, old map[string]string) (changed []string) {
	l.t.Helper()
	now := l.digests()
	for _, name := range differing(now, old) {
		changed = append(changed, name)
		if now[name] != l.live[name] {
			l.t.Errorf("%s %s is neither as it was nor as it was built:\n%s\n%s\n%s", when, name, now[name], old[name], l.live[name])
		}
	}
	return changed
}

func TestAReplayThatDoesNotComeToItsEndLeavesWholeTables(t *testing.T) {
	l := newLibrary(t, *replayEvents)
	l.atOnce(4)
	l.interrupts()
	l.kills(*replayKills)
	l.faults()
}

// lookers read a show and an order again and again, as long as a test kills replays.
type lookers struct {
	reads  atomic.Int64
	failed atomic.Int64
	stop   chan struct{}
	all    sync.WaitGroup
}

func (p *process) look() *lookers {
	p.o.t.Helper()
	var orders []string
	var shows []int64
	if err := p.o.db.SelectContext(p.o.t.Context(), &orders, `SELECT order_id FROM order_status ORDER BY 1 LIMIT 1000`); err != nil {
		p.o.t.Fatal(err)
	}
	if err := p.o.db.SelectContext(p.o.t.Context(), &shows, `SELECT show_id FROM shows`); err != nil {
		p.o.t.Fatal(err)
	}
	l := &lookers{stop: make(chan struct{})}
	l.all.Go(func() {
		pause := time.NewTicker(5 * time.Millisecond)
		defer pause.Stop()
		for n := 0; ; n++ {
			select {
			case <-l.stop:
				return
			case <-pause.C:
			}
			for _, path := range []string{"/orders/" + orders[n%len(orders)], "/shows/" + strconv.FormatInt(shows[n%len(shows)], 10) + "/availability"} {
				l.reads.Add(1)
				if a := p.send("GET", path, nil); a.status != http.StatusOK {
					l.failed.Add(1)
					p.o.t.Errorf("GET %s: %s", path, a)
				}
			}
		}
	})
	return l
}

func (l *lookers) end() int64 {
	close(l.stop)
	l.all.Wait()
	return l.reads.Load()
}

// moment is when a replay was killed.
type moment struct {
	tenth   int    // of the time that such a replay took when it was not killed
	where   string // the last thing it had told
	swapped int    // read models
	ended   bool   // before it was killed, which does not count
}

// killed kills a replay at a random moment: of all its time, or of one of its phases, which are taken in turn.
func (r *replaying) killed(random *rand.Rand, rehearsal *replaying, turn int) moment {
	share, segments := random.Float64(), rehearsal.segments()
	wait := time.Duration(share * float64(rehearsal.took))
	if turn%2 == 0 {
		in := segments[len(segments)-1-turn/2%len(segments)] // the rare ones first
		wait = time.Duration(share * float64(in.took))
		if in.name != "start" && !r.reaches(in.name) {
			wait = 0
		}
	}
	select {
	case <-time.After(wait): // random on purpose
	case <-r.ended:
	}
	r.kill()
	m := moment{tenth: min(int(10*r.took/rehearsal.took), 9), where: "start", ended: r.cmd.ProcessState.Exited()}
	if steps := r.steps(); len(steps) > 0 {
		last := steps[len(steps)-1]
		m.where = fmt.Sprintf("%s %d/%d", last.name(), last.Done, last.Total)
	}
	return m
}

// kills kills replays at random moments, while somebody reads.
func (l *library) kills(n int) {
	l.t.Helper()
	few := strconv.FormatInt(max(l.number(`SELECT count(*) FROM order_status`)/3, 1), 10)
	ways := [][]string{{"all", "--yes"}, {"all", "--yes", "--max-rows", few}}
	rehearsals := make([]*replaying, len(ways))
	for i, way := range ways {
		rehearsals[i] = l.rehearsal(way...)
	}
	looks := l.process.look()
	random := rand.New(rand.NewPCG(*replaySeed, 0))
	var moments []moment
	for round, killed := 0, 0; killed < n && round < 3*n; round++ {
		l.tamper(strconv.Itoa(round))
		tampered := l.digests()
		way := round % len(ways)
		m := l.program.replay(ways[way]...).killed(random, rehearsals[way], round/len(ways))
		l.awaitNoReplay()
		m.swapped = len(l.oldOrNew(fmt.Sprintf("killed at %+v,", m), tampered))
		moments = append(moments, m)
		if !m.ended {
			killed++
		}
		l.recovered("a kill")
	}
	l.t.Logf("%d reads meanwhile, %d failed; killed at:\n%s", looks.end(), looks.failed.Load(), momentsDrawn(moments))
}

// momentsDrawn draws how many kills fell into each tenth of the time, and into each phase.
func momentsDrawn(moments []moment) string {
	var tenths [10]int
	places, swapped := map[string][]string{}, 0
	for _, m := range moments {
		tenths[m.tenth]++
		phase, at, _ := strings.Cut(m.where, " ")
		if m.ended {
			phase = "(ended)"
		}
		places[phase] = append(places[phase], at)
		if m.swapped > 0 {
			swapped++
		}
	}
	var b strings.Builder
	for i, n := range tenths {
		fmt.Fprintf(&b, "%3d to %3d %% %s %d\n", 10*i, 10*i+10, strings.Repeat("*", n), n)
	}
	for _, phase := range slices.Sorted(maps.Keys(places)) {
		fmt.Fprintf(&b, "%-9s %d: %s\n", phase, len(places[phase]), strings.Join(places[phase], ", "))
	}
	fmt.Fprintf(&b, "in %d of %d some read models were swapped already\n", swapped, len(moments))
	return b.String()
}
