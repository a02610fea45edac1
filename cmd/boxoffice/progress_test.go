package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// telling runs what tells of its progress, in a time of its own, and returns what is told.
func telling(t *testing.T, asJSON, watched bool, task func(p *progress)) string {
	t.Helper()
	var stderr bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		t.Helper()
		c := &cli{surroundings: surroundings{stderr: &stderr, watched: watched}}
		p := c.newProgress(asJSON)
		task(p)
		p.end()
	})
	return stderr.String()
}

// reads tells every tenth of a second for so many seconds, at 1000 events a second, and never when a second is full.
func reads(p *progress, seconds int, total int64) {
	time.Sleep(time.Second / 20)
	for i := range int64(10*seconds) + 1 {
		p.tell(step{Phase: "read", Pass: 1, Done: i * 100, Total: total, Unit: "events"})
		time.Sleep(time.Second / 10)
	}
}

func TestProgressWithoutATerminalIsALineEvery10Seconds(t *testing.T) {
	t.Parallel()
	got := telling(t, false, false, func(p *progress) { reads(p, 25, 100_000) })
	want := "read: 9900 of 100000 events in 10s, 995 a second, about 1m31s left\n" +
		"read: 19900 of 100000 events in 20s, 997 a second, about 1m20s left\n"
	if got != want {
		t.Errorf("it says\n%s", got)
	}
	t.Run("also while nothing moves", func(t *testing.T) {
		got := telling(t, false, false, func(p *progress) {
			p.tell(step{Phase: "index", Total: 3, Unit: "tables"})
			time.Sleep(21 * time.Second)
		})
		if want := "index: 0 of 3 tables in 10s\nindex: 0 of 3 tables in 20s\n"; got != want {
			t.Errorf("it says\n%s", got)
		}
	})
	t.Run("and nothing between phases", func(t *testing.T) {
		got := telling(t, false, false, func(p *progress) {
			reads(p, 1, 1000)
			p.rest()
			time.Sleep(time.Minute)
		})
		if got != "" {
			t.Errorf("it says\n%s", got)
		}
	})
}

func TestProgressAsJSONIsAnObjectASecond(t *testing.T) {
	t.Parallel()
	got := telling(t, true, true, func(p *progress) {
		reads(p, 5, 100_000)
		p.tell(step{Phase: "swap", Done: 0, Total: 2, Unit: "tables"})
		p.tell(step{Phase: "swap", Done: 2, Total: 2, Unit: "tables"})
	})
	var all []stepTold
	for line := range strings.Lines(got) {
		var s stepTold
		if err := json.Unmarshal([]byte(line), &s); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		all = append(all, s)
	}
	if len(all) != 7 || all[0].Phase != "read" || all[0].ETA != nil || all[6].Phase != "swap" {
		t.Fatalf("it tells\n%s", got)
	}
	for i, s := range all[1:6] {
		if s.Done != int64(i+1)*1000 || s.PerSecond < 999 || s.PerSecond > 1001 || s.ETA == nil || *s.ETA < 94 || *s.ETA > 99.1 {
			t.Errorf("after %d s it tells %+v", i+1, s)
		}
	}
}

func TestProgressOnATerminalIsABarAndALineForEachPhase(t *testing.T) {
	t.Parallel()
	got := telling(t, false, true, func(p *progress) {
		reads(p, 5, 5000)
		for pass := range 2 {
			p.tell(step{Phase: "write", Pass: pass + 1, Done: 1, Total: 10, Unit: "rows"})
			time.Sleep(3 * time.Second)
		}
		p.tell(step{Phase: "catch up", Done: 5, Total: 5, Unit: "events"})
		p.tell(step{Phase: "catch up", Done: 7, Total: 9, Unit: "events"}) // more came meanwhile
		p.tell(step{Phase: "swap", Done: 1, Unit: "tables"})
	})
	for _, want := range []string{
		"read          1000 events/s     2s left  54% |████████████████              | (2700/5000)",
		"\rread       5000 events in 5.1s, 980 a second\n",
		"\rwrite      1 of 10 rows in 3s\n",
		"\rwrite, pass 2 1 of 10 rows in 3s\n",
		"\rcatch up   7 of 9 events in 0s\n",
		"\rswap       1 tables in 0s\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("it does not show %q in\n%s", want, strings.ReplaceAll(got, "\r", "\n"))
		}
	}
	if strings.Contains(got, "Inf") || strings.Contains(got, "NaN") {
		t.Errorf("it shows\n%s", got)
	}
}
