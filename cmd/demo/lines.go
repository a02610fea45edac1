package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
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

func (l *lines) say(line string) { l.queue <- line }

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
			l.say(fmt.Sprintf("order    %s  show %d  %s  %d %s", a.Order.OrderID, a.Order.ShowID, linesOf(a.Order.Lines), a.Order.Total.Amount, a.Order.Total.Currency))
		}
	case domain.SettlePayment:
		l.say("webhook  " + c.PaymentID + "  " + c.GatewayStatus + "  " + judged(a, err))
	case domain.FailPayment:
		l.say("webhook  " + c.PaymentID + "  " + c.GatewayStatus + "  " + judged(a, err))
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
