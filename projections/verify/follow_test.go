package verify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"boxoffice/domain"
	"boxoffice/eventstore"
)

func (l *memoryLog) streams(_ context.Context, names []string, upTo int64) ([]eventstore.Recorded, error) {
	return l.where(func(e *eventstore.Recorded) bool { return slices.Contains(names, e.Stream) && e.Position <= upTo }), nil
}

func (l *memoryLog) orders(_ context.Context, after, upTo string, limit int) ([]eventstore.Recorded, error) {
	all := l.where(func(e *eventstore.Recorded) bool { return e.Stream > after && e.Stream <= upTo })
	slices.SortStableFunc(all, func(a, b eventstore.Recorded) int { return cmp.Compare(a.Stream, b.Stream) })
	return all[:min(limit, len(all))], nil
}

func (l *memoryLog) last(_ context.Context, name string, upTo int64) ([]eventstore.Recorded, error) {
	all := l.where(func(e *eventstore.Recorded) bool { return e.Stream == name && e.Position <= upTo })
	return all[max(0, len(all)-1):], nil
}

func (l *memoryLog) defining(_ context.Context, name string, after, upTo int64) ([]eventstore.Recorded, error) {
	return l.where(func(e *eventstore.Recorded) bool {
		return e.Stream == name && e.Version > after && e.Version <= upTo && (!slices.Contains(movements(), e.Type) || e.SchemaVersion != latestSchema)
	}), nil
}

func (l *memoryLog) places(_ context.Context, from place, before string, limit int) (all []place, _ error) {
	for _, e := range l.where(func(e *eventstore.Recorded) bool {
		return e.Stream < before && (e.Stream > from.Stream || e.Stream == from.Stream && e.Version > from.Version)
	}) {
		all = append(all, place{e.Stream, e.Version, e.Type})
	}
	slices.SortStableFunc(all, func(a, b place) int { return cmp.Compare(a.Stream, b.Stream) })
	return all[:min(limit, len(all))], nil
}

func (l *memoryLog) shows(_ context.Context, from string, limit int) (names []string, _ error) {
	for _, e := range l.where(func(e *eventstore.Recorded) bool {
		return e.Version == 1 && e.Stream > from && e.Stream < after(showPrefix)
	}) {
		names = append(names, e.Stream)
	}
	slices.Sort(names)
	return names[:min(limit, len(names))], nil
}

func (l *memoryLog) where(fits func(e *eventstore.Recorded) bool) (all []eventstore.Recorded) {
	for i := range l.events {
		if fits(&l.events[i]) {
			all = append(all, l.events[i])
		}
	}
	return all
}

// auditing is an auditor of a log in memory.
func auditing(l *memoryLog, cfg AuditConfig) *Auditor {
	cfg.Log = slog.New(slog.DiscardHandler)
	return newAuditor(func(ctx context.Context, fn func(context.Context, source) error) error {
		return fn(ctx, source{reader: l, past: l, abstracts: l})
	}, cfg)
}

// looks lets an auditor look once.
func looks(t testing.TB, a *Auditor) {
	t.Helper()
	if !a.look(t.Context()) {
		t.Fatal("the auditor could not look")
	}
}

// violated are the violations that an auditor has counted, as kind key position.
func violated(a *Auditor) (all []string) {
	for v := range a.findings.counted {
		all = append(all, fmt.Sprint(v.kind, " ", v.key, " ", v.position))
	}
	slices.Sort(all)
	return all
}

// expects compares what an auditor has counted with findings.
func expects(t testing.TB, a *Auditor, want []Finding) {
	t.Helper()
	l, counts := ledger{}, map[Kind]int64{}
	for _, kind := range AuditKinds() {
		counts[kind] = 0
	}
	for _, f := range want {
		if l.isNew(f) {
			counts[f.Kind]++
		}
	}
	if got, want := violated(a), violated(&Auditor{findings: l}); !slices.Equal(got, want) {
		t.Errorf("found %q, want %q", got, want)
	}
	if got := a.Status().Violations; !maps.Equal(got, counts) {
		t.Errorf("counted %v, want %v", got, counts)
	}
}

func TestAnAuditorThatBeginsAnywhereFindsNothingInASoundLog(t *testing.T) {
	t.Parallel()
	commits := story()
	for start := range len(commits) + 1 {
		for name, cfg := range map[string]AuditConfig{"keeping all": {}, "forgetting all after every append": {streams: -1}} {
			for _, step := range []int{1, len(commits)} {
				t.Run(fmt.Sprint("after ", start, " appends, ", name, ", ", step, " at a time"), func(t *testing.T) {
					t.Parallel()
					log := write(t, commits[:start])
					a := auditing(log, cfg)
					looks(t, a)
					for i, commit := range commits[start:] {
						log.append(t, commit)
						if (i+1)%step == 0 {
							looks(t, a)
							sameStates(t, a, log)
						}
					}
					looks(t, a)
					expects(t, a, nil)
					sameStates(t, a, log)
					if s := a.Status(); s.Position != 43 || s.Head != 43 || !s.Time.Equal(log.end.Time) || s.Unknown != 0 || s.CaughtUpAt.IsZero() {
						t.Errorf("the status is %+v", s)
					}
				})
			}
		}
	}
}

// teller is a test of either kind.
type teller interface {
	Helper()
	Errorf(format string, args ...any)
}

// sameStates compares what an auditor has in memory with a fold of the whole log.
func sameStates(t teller, a *Auditor, log *memoryLog) {
	t.Helper()
	whole := newFold(&findings{})
	whole.seed = a.pass.fold.seed
	for i := range log.events {
		whole.event(&log.events[i])
	}
	got, want := statesOf(a.pass.fold), statesOf(whole)
	for key, state := range got {
		if !reflect.DeepEqual(state, want[key]) {
			t.Errorf("%s is %+v, want %+v", key, state, want[key])
		}
	}
}

// statesOf are the states of a fold by their names, without what differs between two folds of the same log.
func statesOf(f *fold) map[string]any {
	all := map[string]any{}
	for place := range uint32(f.orders.count()) {
		o := *f.orders.at(place)
		currency := f.currencies[o.currency]
		o.flags, o.currency = 0, 0
		all[f.orders.id(place)] = []any{o, currency, f.orderRefunds[place]}
	}
	for place := range uint32(f.payments.count()) {
		p := *f.payments.at(place)
		order := f.orders.id(p.order)
		p.order = 0
		all[f.payments.id(place)] = []any{p, order}
	}
	for id, s := range f.shows {
		all[showStream(id)] = *s
	}
	for id, r := range f.refunds {
		all[id] = []any{r.amount, r.ended, f.payments.id(r.payment)}
	}
	for id, it := range f.items {
		all[id] = *it
	}
	for name, s := range f.others {
		all[name] = *s
	}
	return all
}

// TestWhateverTheDomainDecidesAnAuditorFindsSound begins at a random append of a random log, and forgets at random.
func TestWhateverTheDomainDecidesAnAuditorFindsSound(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := &world{log: &memoryLog{}, states: domain.NewStates(), at: begin(), streams: map[string]int64{}}
		w.decide(t, createShow(1), createShow(2))
		a := auditing(w.log, AuditConfig{streams: rapid.SampledFrom([]int{-1, 10, auditStreams}).Draw(t, "streams")})
		start := rapid.IntRange(0, 10).Draw(t, "start")
		for i := range rapid.IntRange(1, 20).Draw(t, "batches") {
			w.at = w.at.Add(time.Duration(rapid.IntRange(0, 400).Draw(t, "seconds")) * time.Second)
			w.decide(t, rapid.SliceOfN(rapid.Custom(w.command), 1, 8).Draw(t, "commands")...)
			if i >= start && rapid.Bool().Draw(t, "look") && !a.look(t.Context()) {
				t.Fatal("it could not look")
			}
		}
		a.look(t.Context())
		if got := violated(a); len(got) != 0 {
			t.Errorf("found %q, the last is %+v", got, a.Status().Last)
		}
		sameStates(t, a, w.log)
	})
}

func TestAnAuditorWaitsWhileTheDatabaseIsAway(t *testing.T) {
	t.Parallel()
	commits := story()
	log := write(t, commits[:commitPaid])
	a := auditing(log, AuditConfig{})
	sound, calls, away := a.open, 0, false
	a.open = func(ctx context.Context, fn func(context.Context, source) error) error {
		if calls++; away {
			return sound(ctx, func(ctx context.Context, s source) error {
				return fn(ctx, source{reader: s, past: brokenPast{}, abstracts: s})
			})
		}
		return sound(ctx, fn)
	}
	looks(t, a)
	for _, commit := range commits[commitPaid:] {
		log.append(t, commit)
		if away = !away; away && a.look(t.Context()) {
			t.Error("it did not notice")
		}
	}
	away = false
	looks(t, a)
	expects(t, a, nil)
	sameStates(t, a, log)
	if s := a.Status(); s.Position != 43 {
		t.Errorf("the status is %+v", s)
	}
}

// brokenPast can't be read.
type brokenPast struct{ past }

func (brokenPast) streams(context.Context, []string, int64) ([]eventstore.Recorded, error) {
	return nil, errors.New("away")
}

func TestAViolationIsCountedOnceAndLinesAreLimited(t *testing.T) {
	t.Parallel()
	l := ledger{}
	first := Finding{Kind: KindRow, Key: "x", Position: 1}
	if !l.isNew(first) || l.isNew(first) || !l.isNew(Finding{Kind: KindRow, Key: "x", Position: 2}) {
		t.Error("it is not counted once")
	}
	for i := range 2 * ledgerSize {
		l.isNew(Finding{Kind: KindRow, Position: int64(i)})
	}
	if len(l.counted) > ledgerSize {
		t.Errorf("%d violations are remembered", len(l.counted))
	}
	lines := 0
	for range 1000 {
		if l.mayTell(begin()) {
			lines++
		}
	}
	if lines != ledgerLines || !l.mayTell(begin().Add(time.Minute)) {
		t.Errorf("%d lines in a minute", lines)
	}
}
