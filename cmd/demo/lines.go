package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"boxoffice/commands"
	"boxoffice/domain"
)

// lines writes what the demo has to say, off the path of those who wait for an answer.
type lines struct {
	queue chan string
	stop  chan struct{} // closed when there is nothing more to say
	done  chan struct{} // closed when everything is written
}

const (
	lineQueue = 4096        // lines that wait to be written
	lastLines = time.Second // for what waits when the demo ends: nobody may be reading
)

func newLines(w io.Writer) *lines {
	l := &lines{queue: make(chan string, lineQueue), stop: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(l.done)
		l.write(bufio.NewWriter(w))
	}()
	return l
}

// write writes what is said until close, and then what still waits.
func (l *lines) write(out *bufio.Writer) {
	stop := l.stop
	for {
		select {
		case line := <-l.queue:
			_, _ = fmt.Fprintln(out, line)
		case <-stop:
			stop = nil
		}
		if len(l.queue) > 0 {
			continue
		}
		_ = out.Flush()
		if stop == nil {
			return
		}
	}
}

// say writes a line, however long that takes.
func (l *lines) say(line string) {
	select {
	case l.queue <- line:
	case <-l.stop:
	}
}

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

// close writes what is still to be written, unless nobody takes it. What is said after it is not heard: parts
// of the service that were abandoned may still speak.
func (l *lines) close() {
	close(l.stop)
	select {
	case <-l.done:
	case <-time.After(lastLines):
	}
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
