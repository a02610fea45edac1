package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"boxoffice/projections/replay"
)

// report prints what a replay did and found. Errors: errDiffers, if it has only looked and some rows differ.
func (r *rebuild) report(report replay.Report) error {
	if r.json {
		text, err := json.MarshalIndent(report, "", "  ")
		if err != nil {
			return fmt.Errorf("encode the report: %w", err)
		}
		if _, err := r.stdout.Write(append(text, '\n')); err != nil {
			return written(err)
		}
	} else if _, err := io.WriteString(r.stdout, replayText(report)); err != nil {
		return written(err)
	}
	if report.DryRun && report.Differs() {
		return errDiffers
	}
	return nil
}

// replayText is a report for people: what was read, what became of each read model, and what that means.
func replayText(r replay.Report) string {
	var b strings.Builder
	fmt.Fprintf(&b, "head      position %d\n", r.Head)
	fmt.Fprintf(&b, "log       %d events read in %s, %.0f a second", r.Events, r.Took.Round(10*time.Millisecond), r.EventsPerSecond)
	if r.Passes > 1 {
		fmt.Fprintf(&b, ", in %d passes", r.Passes)
	}
	b.WriteByte('\n')
	b.WriteString(comparisonText(r))
	b.WriteString(verdict(r))
	return b.String()
}

// comparisonText is what the new tables are beside the old ones.
func comparisonText(r replay.Report) string {
	var b strings.Builder
	for _, m := range r.ReadModels {
		became := ""
		if m.Swapped {
			became = "  swapped"
		}
		fmt.Fprintf(&b, "%s%s\n", m.Projection, became)
		for _, t := range m.Tables {
			fmt.Fprintf(&b, "  %-16s %s\n", t.Table, compared(t, m.Swapped))
			for _, d := range t.Differences {
				fmt.Fprintf(&b, "    %s at version %d: %s\n", printable(d.Key), d.Version, printable(d.Detail))
			}
			more := t.Differ + t.Surplus + t.Behind - int64(len(t.Differences))
			if t.WasEmpty {
				more = 0 // all rows are behind, and none is worth a line
			}
			if more > 0 {
				fmt.Fprintf(&b, "    and %d more\n", more)
			}
		}
		for _, p := range m.Parked {
			fmt.Fprintf(&b, "  parked           %s from version %d on: %s\n", printable(p.Stream), p.Version, printable(p.Reason))
			fmt.Fprintf(&b, "                   see boxoffice dlq show %s\n", aside{projection: m.Projection, stream: p.Stream})
		}
	}
	return b.String()
}

// compared is what a table was beside the new one; of one without rows there was nothing to compare.
func compared(t replay.Table, swapped bool) string {
	switch rows := counted(t.Rows, "row"); {
	case t.WasEmpty && t.Rows == 1 && swapped:
		return "was empty: 1 row was filled"
	case t.WasEmpty && t.Rows > 0 && swapped:
		return "was empty: " + rows + " were filled"
	case t.WasEmpty && t.Rows > 0:
		return "is empty: the log makes " + rows
	default:
		moved := ""
		if t.Moved > 0 {
			moved = fmt.Sprintf(", %d changing just then", t.Moved)
		}
		return fmt.Sprintf("%s: %d equal, %d behind, %d differ, %d surplus%s", rows, t.Equal, t.Behind, t.Differ, t.Surplus, moved)
	}
}

// verdict is what a report means, and what to do. A replay that broke off has swapped some read models only.
func verdict(r replay.Report) string {
	kept, swapped := foundIn(r, false), foundIn(r, true)
	var text string
	switch {
	case swapped.models > 0 && kept.models > 0:
		text = "unchanged " + counted(kept.models, "read model") + " not swapped.\n"
	case swapped.models > 0:
	case kept.wrong > 0 && r.DryRun:
		text = "DIFFERS   " + counted(kept.wrong, "row") + " in use differ from the log. Nothing was changed; the same without --dry-run repairs it.\n"
	case kept.wrong > 0:
		text = "DIFFERS   " + counted(kept.wrong, "row") + " in use differ from the log. Nothing was changed.\n"
	case kept.behind > 0 || kept.filled > 0:
		text = "DIFFERS   the tables in use lack something of the log. Nothing was changed.\n"
	default:
		text = "ok        the tables in use are what the log says. Nothing was changed.\n"
	}
	switch {
	case swapped.models == 0:
	case swapped.wrong > 0:
		text += "repaired  " + counted(swapped.wrong, "row") + " differed from the log; the new tables are what it says, and in use now.\n"
	case swapped.behind > 0 || swapped.filled > 0:
		text += "swapped   the new tables are what the log says, and in use now.\n"
	default:
		text += "ok        the new tables are in use; the old ones were what the log says.\n"
	}
	if kept.filled > 0 && swapped.models == 0 {
		text += "empty     tables in use have no rows where the log makes " + counted(kept.filled, "row") + ".\n"
	}
	if swapped.filled > 0 {
		text += "filled    tables that were empty: " + counted(swapped.filled, "row") + " could not be compared.\n"
	}
	if behind := kept.behind + swapped.behind; behind > 0 {
		text += "behind    " + counted(behind, "row") + " in use stood at an older version, and could not be compared. Run boxoffice lag to see whether\n" +
			"          a projection stands still.\n"
	}
	if parked := kept.parked + swapped.parked; parked > 0 {
		text += "parked    " + counted(parked, "stream") + ": the rows stop before the event that can't be folded. With a program that can fold\n" +
			"          it, run boxoffice dlq retry; else give it up with boxoffice dlq discard.\n"
	}
	return text
}

// found is what was found in the read models that were swapped, or in the others.
type found struct {
	models, parked int64
	wrong          int64 // rows that differ from the log, or that it does not make
	behind         int64 // rows at an older version
	filled         int64 // new rows of tables that were empty
}

func foundIn(r replay.Report, swapped bool) (n found) {
	for _, m := range r.ReadModels {
		if m.Swapped != swapped {
			continue
		}
		n.models++
		n.parked += int64(len(m.Parked))
		for _, t := range m.Tables {
			n.wrong += t.Differ + t.Surplus
			if t.WasEmpty {
				n.filled += t.Rows
			} else {
				n.behind += t.Behind
			}
		}
	}
	return n
}

// counted is a number with its noun.
func counted(n int64, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}
