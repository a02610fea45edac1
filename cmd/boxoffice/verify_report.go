package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"boxoffice/projections/verify"
)

// reportText is a report for people: what was read, what was proved of it, then what was found, kind by kind, with
// what it means and what to do.
func reportText(r verify.Report) string {
	var b strings.Builder
	fmt.Fprintf(&b, "head    position %d, hash %s, %s\n", r.Head.Position, r.Head.Hash, r.Head.Time.Format(time.RFC3339Nano))
	fmt.Fprintf(&b, "log     %d events: shows %d, orders %d, payments %d; tickets held %d, sold %d\n",
		r.Events, r.Shows, r.Orders, r.Payments, r.Held, r.Sold)
	for _, m := range r.Money {
		fmt.Fprintf(&b, "money   %s: settled %d = tickets %d + refunds %d; open items %d\n", m.Currency, m.Settled, m.Sold, m.Refunds, m.Open)
	}
	b.WriteString("rows   ")
	for _, table := range slices.Sorted(maps.Keys(r.Rows)) {
		fmt.Fprintf(&b, " %s %d", table, r.Rows[table])
	}
	b.WriteByte('\n')
	if r.Topics != nil {
		fmt.Fprintf(&b, "topics  %d events, %d repeats\n", r.Topics.Messages, r.Topics.Repeats)
	}
	for _, d := range r.Discarded {
		fmt.Fprintf(&b, "left out %s %s from version %d on: %s\n", d.Projection, printable(d.Stream), d.Version, printable(d.Reason))
	}
	fmt.Fprintf(&b, "took    %.1f s; %.0f events a second\n\n", r.Seconds, r.EventsPerSecond)
	promisesText(&b, r)
	b.WriteByte('\n')
	if r.Ok() {
		b.WriteString("ok      all invariants hold\n")
		return b.String()
	}
	fmt.Fprintf(&b, "DIFFERS %d findings\n", r.Found)
	for _, k := range kindTexts() {
		kindText(&b, r, k)
	}
	return b.String()
}

// promisesText is a line for each promise.
func promisesText(b *strings.Builder, r verify.Report) {
	ask := map[string]string{"topics": "--kafka", "kept": "--head POSITION:HASH"}
	for _, p := range r.Promises {
		switch {
		case p.Found > 0:
			fmt.Fprintf(b, "BROKEN  %s: %d findings\n", p.Text, p.Found)
		case p.Checked:
			fmt.Fprintf(b, "proved  %s\n", p.Text)
		default:
			fmt.Fprintf(b, "-       %s: not looked at, ask for it with %s\n", p.Text, ask[p.Name])
		}
	}
}

// kindOfFinding is what a kind of finding means, and what to do about it.
type kindOfFinding struct {
	kind verify.Kind
	what string
	next string // %s is for what boxoffice replay takes
}

// What to do about several kinds.
const (
	adviceTampered = "Nobody's program does this: the log was changed by hand, or restored from parts. Keep a copy of the database as it is. " +
		"Find what was changed with --kafka and with the head that an earlier verify told (--head), and bring events and log_head back " +
		"from a backup that has the right hash."
	adviceDecided = "The log tells what was decided, and it was decided wrongly: a fault of a writer. Pause the show " +
		"(POST /shows/ID/pause), look at what happened with boxoffice events --stream, and cancel or refund the orders named here as an operator."
	adviceOwed = "Somebody's money is neither a ticket nor a refund, or went out twice. Look with boxoffice events --stream, " +
		"and refund it by canceling the order as an operator, or at the gateway."
	adviceReplay = "The log is right, the row is not: somebody changed it, or the projection folds wrongly. Build it again while " +
		"the service goes on: boxoffice replay %s. If it differs again after that, the projection's fold has a fault."
)

// kindTexts are all kinds, the worst first.
func kindTexts() []kindOfFinding {
	return []kindOfFinding{
		{verify.KindKept, "the log has not the hash that was kept: the past was changed since, or it is another log", adviceTampered},
		{verify.KindHash, "stored events are not what was hashed when they were appended", adviceTampered},
		{verify.KindHead, "log_head is not the end of the log", adviceTampered},
		{verify.KindPosition, "positions are not 1, 2, 3 …: events are missing or came from elsewhere", adviceTampered},
		{verify.KindVersion, "versions of a stream are not 1, 2, 3 …: events are missing or came from elsewhere", adviceTampered},
		{verify.KindTime, "time runs backwards in the log", adviceTampered},
		{verify.KindEvent, "events that can't be read, or stand in a stream that is not theirs", "Is this program older than the one " +
			"that wrote them? Verify with the newest version. If that can't read them either, they were written by hand."},
		{verify.KindCapacity, "more tickets were held and sold than there are", adviceDecided},
		{verify.KindTotals, "an event tells other counts than its orders make", adviceDecided},
		{verify.KindHold, "a hold ended twice, or is another order's", adviceDecided},
		{verify.KindOrder, "an order has not the hold that its status asks for", adviceDecided},
		{verify.KindStatus, "a status moved where it may not", adviceDecided},
		{verify.KindTickets, "tickets issued are not those that were bought", adviceDecided},
		{verify.KindMoney, "money that came is not tickets and refunds", adviceOwed},
		{verify.KindRefund, "a refund ended twice, or was never asked for", adviceOwed},
		{verify.KindOpenItem, "an open item was resolved twice, or never opened", "Look with boxoffice events --stream."},
		{verify.KindRow, "rows of a read model are not what the log makes", adviceReplay},
		{verify.KindParked, "a projection can't go on with a stream, so its row is old", "See boxoffice dlq list, then boxoffice dlq retry " +
			"or discard."},
		{verify.KindBehind, "a read model or topic did not reach the log in time", "Are projections and the relay running? See boxoffice lag, " +
			"wait, and verify again. What stays behind was lost: a row comes back by boxoffice replay %s, a message by boxoffice relay --from POSITION."},
		{verify.KindTopic, "messages of a topic are not what the log says", "If the hash chain is broken too, or hashes in the topics differ, " +
			"the log was changed after they were published. Else somebody else writes into the topics: see who may."},
	}
}

// kindText tells all findings of a kind.
func kindText(b *strings.Builder, r verify.Report, k kindOfFinding) {
	var listed []verify.Finding
	replay := map[string]bool{}
	for _, f := range r.Findings {
		if f.Kind == k.kind {
			listed = append(listed, f)
			if name := f.Projection(); name != "" {
				replay[name] = true
			}
		}
	}
	count := max(r.Kinds[k.kind], int64(len(listed)))
	if count == 0 {
		return
	}
	names := strings.Join(slices.Sorted(maps.Keys(replay)), " and boxoffice replay ")
	if names == "" {
		names = "PROJECTION"
	}
	fmt.Fprintf(b, "\n%s (%d): %s\n", k.kind, count, k.what)
	wrapped(b, strings.ReplaceAll(k.next, "%s", names))
	for _, f := range listed {
		fmt.Fprintf(b, "  %-9s %s", f.Kind, printable(f.Key))
		if f.Position > 0 {
			fmt.Fprintf(b, " at %d", f.Position)
		}
		fmt.Fprintf(b, ": %s\n", printable(f.Detail))
	}
	if more := count - int64(len(listed)); more > 0 {
		fmt.Fprintf(b, "  and %d more\n", more)
	}
}

// wrapped writes sentences in lines of a terminal, with a margin.
func wrapped(b *strings.Builder, text string) {
	const width = 110
	length := 0
	for word := range strings.FieldsSeq(text) {
		switch {
		case length == 0:
			b.WriteByte(' ')
		case length+len(word) > width:
			b.WriteString("\n ")
			length = 0
		}
		length += 1 + len(word)
		b.WriteString(" " + word)
	}
	b.WriteByte('\n')
}
