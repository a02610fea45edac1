package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"

	"boxoffice/commands"
	"boxoffice/domain"
)

// lines writes what the demo has to say, off the path of those who wait for an answer.
type lines struct {
	queue chan string
	done  sync.WaitGroup
}

const lineQueue = 4096 // lines that wait to be written

func newLines(w io.Writer) *lines {
	l := &lines{queue: make(chan string, lineQueue)}
	l.done.Go(func() {
		out := bufio.NewWriter(w)
		for line := range l.queue {
			_, _ = fmt.Fprintln(out, line)
			if len(l.queue) == 0 {
				_ = out.Flush()
			}
		}
		_ = out.Flush()
	})
	return l
}

// say writes a line, however long that takes.
func (l *lines) say(line string) { l.queue <- line }

// tell writes a line unless nobody reads them: those who wait for an answer must not wait for that.
func (l *lines) tell(line string) {
	select {
	case l.queue <- line:
	default:
	}
}

// printable is a text that does nothing to a terminal but to be seen.
func printable(text string) string {
	if quoted := strconv.QuoteToASCII(text); len(quoted) != len(text)+2 {
		return quoted
	}
	return text
}

// close writes what is still to be written. Nobody may say anything after it.
func (l *lines) close() {
	close(l.queue)
	l.done.Wait()
}

// told says one line for each accepted order and each delivery that was judged.
func (l *lines) told(c domain.Command, _ commands.Origin, a commands.Answer, err error) {
	switch c := c.(type) {
	case domain.PlaceOrder:
		if err == nil && !a.Replayed {
			l.tell(fmt.Sprintf("order    %s  show %d  %s  %d %s", a.Order.OrderID, a.Order.ShowID, linesOf(a.Order.Lines), a.Order.Total.Amount, a.Order.Total.Currency))
		}
	case domain.SettlePayment:
		l.tell("webhook  " + printable(c.PaymentID) + "  " + printable(c.GatewayStatus) + "  " + judged(a, err))
	case domain.FailPayment:
		l.tell("webhook  " + printable(c.PaymentID) + "  " + printable(c.GatewayStatus) + "  " + judged(a, err))
	}
}

func linesOf(order []domain.Line) string {
	parts := make([]string, 0, len(order))
	for _, line := range order {
		parts = append(parts, fmt.Sprintf("%d × type %d", line.Quantity, line.TicketTypeID))
	}
	return strings.Join(parts, ", ")
}

// judged says what became of a delivery.
func judged(a commands.Answer, err error) string {
	if rejection, ok := errors.AsType[*domain.Rejection](err); ok {
		return "refused: " + string(rejection.Code)
	}
	switch {
	case err != nil:
		return "could not be judged, the gateway will try again"
	case a.Order == nil:
		return "matches no order: open item"
	case !a.Result.Changed:
		return "changed nothing, " + a.Order.OrderID + " is " + string(a.Order.Status)
	default:
		return a.Order.OrderID + " is " + string(a.Order.Status)
	}
}
