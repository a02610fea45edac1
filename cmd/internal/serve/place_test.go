package serve_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"
)

// wish is an order in the owner's format. What is left out is one ticket of type 1 of show 1, under the customer's name as key.
type wish struct {
	customer   string
	key        string
	show       int64
	ticketType int64
	quantity   int64
	method     string
	at         string // requestDS as it is sent
}

// placed is the answer to a wish.
type placed struct {
	answer
	orderID   string
	code      string // payload.code of a refusal
	available int64
	held      int64
	message   string
	again     bool // it was answered before
}

// payload is the wish in the owner's format.
func (w wish) payload() any {
	pick := func(n, missing int64) int64 {
		if n == 0 {
			return missing
		}
		return n
	}
	if w.key == "" {
		w.key = w.customer
	}
	if w.at == "" {
		w.at = time.Now().UTC().Format(time.RFC3339)
	}
	payload := map[string]any{"ticketId": pick(w.ticketType, 1), "eventId": pick(w.show, 1), "quantity": pick(w.quantity, 1)}
	if w.method != "" {
		payload["paymentMethod"] = w.method
	}
	return map[string]any{
		"header":  map[string]any{"requestId": w.key, "requestDS": w.at, "uName": w.customer},
		"payload": payload,
	}
}

func (c client) place(w wish) placed {
	p := placed{answer: c.send("POST", "/orders/ticket", c.o.encode(w.payload()))}
	var envelope struct {
		Header struct {
			ResponseCode, ResponseMessage string
		}
		Payload struct {
			OrderID         string `json:"orderId"`
			Code            string
			Available, Held int64
		}
	}
	if p.err == nil {
		p.err = json.Unmarshal(p.body, &envelope)
	}
	p.orderID, p.code, p.message = envelope.Payload.OrderID, envelope.Payload.Code, envelope.Header.ResponseMessage
	p.available, p.held = envelope.Payload.Available, envelope.Payload.Held
	p.again = p.header.Get("Idempotency-Replayed") == "true"
	if (p.status == http.StatusOK) != (p.orderID != "") || (p.status == http.StatusOK) != (envelope.Header.ResponseCode == "00") {
		p.err = fmt.Errorf("neither yes nor no: %s", p.answer)
	}
	return p
}

// mustPlace places an order that has to be accepted.
func (c client) mustPlace(w wish) string {
	c.o.t.Helper()
	p := c.place(w)
	if p.status != http.StatusOK || p.err != nil {
		c.o.t.Fatalf("order of %s: %s %v", w.customer, p.answer, p.err)
	}
	return p.orderID
}

// parallel does something n times, at most width at once, and returns what each came to.
func parallel[T any](t *testing.T, n, width int, do func(i int) T) []T {
	t.Helper()
	results := make([]T, n)
	next := make(chan int)
	done := make(chan struct{})
	for range width {
		go func() {
			defer func() { done <- struct{}{} }()
			for i := range next {
				results[i] = do(i)
			}
		}()
	}
	for i := range n {
		next <- i
	}
	close(next)
	for range width {
		<-done
	}
	return results
}
