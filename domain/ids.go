package domain

import (
	"strconv"
	"strings"
	"time"
)

// StreamKind says whose events a stream holds.
type StreamKind int

// The kinds of streams.
const (
	StreamUnknown StreamKind = iota
	StreamShow
	StreamOrder
	StreamPayment
	StreamInbox
)

const (
	showStreamPrefix    = "show-"
	orderStreamPrefix   = "order-"
	paymentStreamPrefix = "payment-"
	inboxStreamPrefix   = "inbox-"
	dayLayout           = "20060102"
	hexDigits           = 8
)

// ParseStream splits a stream's name into its kind and the id after it: the show, order or payment id, or
// the month of an inbox. It judges the prefix only; an unknown one has no id.
func ParseStream(stream string) (StreamKind, string) {
	for _, p := range [...]struct {
		prefix string
		kind   StreamKind
	}{
		{showStreamPrefix, StreamShow},
		{orderStreamPrefix, StreamOrder},
		{paymentStreamPrefix, StreamPayment},
		{inboxStreamPrefix, StreamInbox},
	} {
		if id, ok := strings.CutPrefix(stream, p.prefix); ok {
			return p.kind, id
		}
	}
	return StreamUnknown, ""
}

// OrderOf derives the order's id from an order's or a payment's id, as gateways name either. It is
// strict: ORDER- or PAY-, a date, eight lower-case hex digits, and for a payment its attempt. The order
// need not exist.
func OrderOf(paymentOrOrderID string) (orderID string, ok bool) {
	if body, found := strings.CutPrefix(paymentOrOrderID, orderPrefix); found {
		return paymentOrOrderID, isOrderBody(body)
	}
	body, found := strings.CutPrefix(paymentOrOrderID, paymentPrefix)
	if !found || len(body) < len(dayLayout)+1+hexDigits+2 {
		return "", false
	}
	cut := len(dayLayout) + 1 + hexDigits
	if !isOrderBody(body[:cut]) || body[cut] != '-' {
		return "", false
	}
	attempt := body[cut+1:]
	n, err := strconv.Atoi(attempt)
	if err != nil || n < 1 || n > MaxPaymentAttempts || strconv.Itoa(n) != attempt {
		return "", false
	}
	return orderPrefix + body[:cut], true
}

// isOrderBody judges 20250205-338aa78d.
func isOrderBody(body string) bool {
	day, number, found := strings.Cut(body, "-")
	if !found || len(day) != len(dayLayout) || len(number) != hexDigits {
		return false
	}
	for _, c := range []byte(number) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	_, err := time.Parse(dayLayout, day)
	return err == nil
}
