package verify

import (
	"context"
	"time"
)

// Limits of what an auditor remembers and tells of violations.
const (
	ledgerSize  = 10_000 // violations that are not counted again
	ledgerLines = 60     // lines of the log in a minute; more violations are only counted
)

// ledger knows which violations were counted.
type ledger struct {
	counted map[violation]struct{}
	minute  time.Time // when the lines were last counted anew
	lines   int
}

type violation struct {
	kind     Kind
	key      string
	position int64
}

// isNew reports whether a finding was not counted before.
func (l *ledger) isNew(f Finding) bool {
	v := violation{f.Kind, f.Key, f.Position}
	if _, before := l.counted[v]; before {
		return false
	}
	if l.counted == nil || len(l.counted) >= ledgerSize {
		l.counted = map[violation]struct{}{}
	}
	l.counted[v] = struct{}{}
	return true
}

// mayTell reports whether there is room for one more line.
func (l *ledger) mayTell(now time.Time) bool {
	if now.Sub(l.minute) >= time.Minute {
		l.minute, l.lines = now, 0
	}
	l.lines++
	return l.lines <= ledgerLines
}

// tell counts and tells what was found since it was last called.
func (a *Auditor) tell(ctx context.Context, s source) error { return a.tellOf(ctx, s, a.pass) }

func (a *Auditor) tellOf(ctx context.Context, s source, p *pass) error {
	p.log = s
	err := p.explain(ctx)
	found := p.found
	if err != nil {
		p.unexplained = nil // they are told without their columns
	}
	untold := found.count - int64(len(found.list))
	for _, f := range found.list {
		a.violated(ctx, f, 1)
	}
	if untold > 0 { // one page broke more than can be listed
		last := found.list[len(found.list)-1]
		last.Detail += " (and more, which are not listed)"
		a.violated(ctx, Finding{Kind: last.Kind, Key: last.Key + " and others", Position: last.Position, Detail: last.Detail}, untold)
	}
	found.count, found.list = 0, nil
	a.equal(p)
	return err
}

// violated counts one finding, once.
func (a *Auditor) violated(ctx context.Context, f Finding, times int64) {
	if !a.findings.isNew(f) {
		return
	}
	now := time.Now()
	a.mu.Lock()
	a.status.Violations[f.Kind] += times
	a.status.Last, a.status.LastAt = f, now
	a.mu.Unlock()
	if a.findings.mayTell(now) {
		a.cfg.Log.ErrorContext(ctx, "auditor: an invariant is violated", "kind", f.Kind, "key", f.Key, "position", f.Position, "detail", f.Detail)
	}
}

// equal counts the rows that a pass has found equal to the log.
func (a *Auditor) equal(p *pass) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for table, n := range p.rows {
		a.status.Rows += int64(n)
		delete(p.rows, table)
	}
}
