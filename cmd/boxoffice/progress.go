package main

import (
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
)

const (
	lineEvery   = 10 * time.Second       // without a terminal
	objectEvery = time.Second            // as JSON
	barEvery    = 100 * time.Millisecond // on a terminal
	barWidth    = 30                     // characters
	phaseWidth  = 10                     // characters, so that the lines of phases stand in columns
)

// step is how far a long task is.
type step struct {
	Phase string `json:"phase"`          // what it does just now
	Pass  int    `json:"pass,omitempty"` // of a phase that comes again
	Done  int64  `json:"done"`
	Total int64  `json:"total"` // as it is known now
	Unit  string `json:"unit"`  // of what is done, in the plural
}

// stepTold is a step with its rate, as --json tells it.
type stepTold struct {
	step
	PerSecond float64  `json:"perSecond"`            // over the phase
	ETA       *float64 `json:"etaSeconds,omitempty"` // of the phase; left out while there is no rate
}

// left is how long the phase still takes, for people.
func (s stepTold) left() string {
	if s.ETA == nil {
		return "?"
	}
	return time.Duration(*s.ETA * float64(time.Second)).Round(time.Second).String()
}

// progress tells people or programs on stderr how far a long task is: on a terminal by a bar and a line for each
// phase that has ended, without one by a line now and then, as JSON by one object a second.
type progress struct {
	out  io.Writer
	as   func(p *progress, begins bool) // one of the forms below
	ends chan struct{}
	all  sync.WaitGroup

	mu    sync.Mutex
	on    bool // a phase is running
	now   step
	first int64     // done when the phase began
	begun time.Time // when the phase began
	told  time.Time // when something was told last
	bar   *progressbar.ProgressBar
}

// newProgress begins to tell, until its end is asked for.
func (c *cli) newProgress(asJSON bool) *progress {
	p := &progress{out: c.stderr, as: (*progress).line, ends: make(chan struct{}), told: time.Now()}
	switch {
	case asJSON:
		p.as = (*progress).object
	case c.watched:
		p.as = (*progress).draw
	}
	p.all.Go(p.tick)
	return p
}

// end tells nothing any more.
func (p *progress) end() {
	close(p.ends)
	p.all.Wait()
	p.rest()
}

// tell says how far the task is. It may be called at any rate, by any goroutine.
func (p *progress) tell(s step) {
	p.mu.Lock()
	defer p.mu.Unlock()
	begins := !p.on || s.Phase != p.now.Phase || s.Pass != p.now.Pass
	if begins {
		p.leave()
		p.on, p.first, p.begun = true, s.Done, time.Now()
	}
	p.now = s
	p.as(p, begins)
}

// rest ends the phase that runs, so that something else can be written to stderr.
func (p *progress) rest() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.leave()
}

// tick tells also while the task has nothing new to say.
func (p *progress) tick() {
	every := time.NewTicker(objectEvery)
	defer every.Stop()
	for {
		select {
		case <-p.ends:
			return
		case <-every.C:
		}
		p.mu.Lock()
		if p.on {
			p.as(p, false)
		}
		p.mu.Unlock()
	}
}

// leave ends the phase that runs; where a bar was seen, a line stays.
func (p *progress) leave() {
	if p.bar != nil {
		_ = p.bar.Clear() // nobody is left to tell when stderr is gone
		_ = p.bar.Exit()
		p.bar = nil
		p.write(fmt.Sprintf("\r%-*s %s\n", phaseWidth, p.phase(), p.summary()))
	}
	p.on = false
}

// draw is the form for a terminal.
func (p *progress) draw(begins bool) {
	told := p.rated()
	says := fmt.Sprintf("%-*s %7.0f %s/s %6s left", phaseWidth, p.phase(), told.PerSecond, told.Unit, told.left())
	total := max(p.now.Total, 1)
	// A bar that is full has ended, but a total may still grow.
	if begins || p.bar.IsFinished() {
		p.bar = progressbar.NewOptions64(total, progressbar.OptionSetWriter(p.out), progressbar.OptionSetWidth(barWidth),
			progressbar.OptionSetDescription(says), progressbar.OptionThrottle(barEvery), progressbar.OptionShowCount(),
			progressbar.OptionSetPredictTime(false), progressbar.OptionClearOnFinish())
	}
	if total != p.bar.GetMax64() {
		p.bar.ChangeMax64(total)
	}
	_ = p.bar.Set64(min(p.now.Done, total)) // as in leave
	p.bar.Describe(says)
}

// line is the form without a terminal.
func (p *progress) line(bool) {
	if time.Since(p.told) < lineEvery {
		return
	}
	p.told = time.Now()
	left := ""
	if told := p.rated(); told.ETA != nil {
		left = ", about " + told.left() + " left"
	}
	p.write(fmt.Sprintf("%s: %s%s\n", p.phase(), p.summary(), left))
}

// object is the form as JSON: the first of each phase at once, then one a second.
func (p *progress) object(begins bool) {
	if !begins && time.Since(p.told) < objectEvery {
		return
	}
	p.told = time.Now()
	text, err := json.Marshal(p.rated())
	if err != nil {
		return // numbers that are no numbers are not told
	}
	p.write(string(text) + "\n")
}

func (p *progress) phase() string {
	if p.now.Pass > 1 {
		return fmt.Sprintf("%s, pass %d", p.now.Phase, p.now.Pass)
	}
	return p.now.Phase
}

// summary is how far the phase is, how long it took, and how fast it was.
func (p *progress) summary() string {
	took := time.Since(p.begun)
	of := ""
	if p.now.Done < p.now.Total {
		of = fmt.Sprintf(" of %d", p.now.Total)
	}
	text := fmt.Sprintf("%d%s %s in %s", p.now.Done, of, p.now.Unit, took.Round(100*time.Millisecond))
	if rate := p.rated().PerSecond; rate >= 1 {
		text += fmt.Sprintf(", %.0f a second", rate)
	}
	return text
}

// rated is the step with its rate.
func (p *progress) rated() stepTold {
	told := stepTold{step: p.now}
	if took := time.Since(p.begun).Seconds(); took > 0 {
		told.PerSecond = float64(p.now.Done-p.first) / took
	}
	if told.PerSecond > 0 {
		left := float64(max(p.now.Total-p.now.Done, 0)) / told.PerSecond
		told.ETA = &left
	}
	return told
}

func (p *progress) write(text string) {
	_, _ = io.WriteString(p.out, text) // nobody is left to tell when stderr is gone
}
