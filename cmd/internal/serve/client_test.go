package serve_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"boxoffice/domain"
	"boxoffice/internal/payments"
	"boxoffice/internal/views"
)

// client speaks HTTP to one process, from any goroutine.
type client struct {
	o     *office
	url   string
	limit time.Duration // of one request; 0: that of the office
}

// answer is what came back. Status 0: nothing did, and err says why.
type answer struct {
	status int
	header http.Header
	body   []byte
	err    error
}

func (a answer) String() string { return fmt.Sprintf("%d %s %v", a.status, a.body, a.err) }

// send sends one request. headers are names and values in turn.
func (c client) send(method, path string, body []byte, headers ...string) answer {
	ctx := context.WithoutCancel(c.o.t.Context())
	if c.limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.limit)
		defer cancel()
	}
	request, err := http.NewRequestWithContext(ctx, method, c.url+path, bytes.NewReader(body))
	if err != nil {
		return answer{err: err}
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := c.o.http.Do(request)
	if err != nil {
		return answer{err: err}
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return answer{err: err}
	}
	return answer{response.StatusCode, response.Header, text, nil}
}

// asOperator is send with the operator's key.
func (c client) asOperator(method, path string, body any, headers ...string) answer {
	var text []byte
	if body != nil {
		text = c.o.encode(body)
	}
	return c.send(method, path, text, append(headers, "Authorization", "Bearer "+operatorKey)...)
}

func (o *office) encode(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		o.t.Error(err)
	}
	return text
}

// createShow puts a show on sale, as soon as the process answers. Ticket types are numbered from 1.
func (c client) createShow(id int64, capacities ...int64) {
	c.o.t.Helper()
	types := make([]map[string]any, len(capacities))
	for i, capacity := range capacities {
		types[i] = map[string]any{"ticketTypeId": i + 1, "name": "Standing", "price": 150000, "capacity": capacity, "maxPerOrder": 100}
	}
	show := map[string]any{
		"showId": id, "name": "Show", "venue": "Hall", "startsAt": time.Now().AddDate(1, 0, 0).UTC().Format(time.RFC3339),
		"timeZone": "Asia/Jakarta", "currency": "IDR", "ticketTypes": types,
	}
	eventually(c.o.t, "the show is on sale", func() string {
		a := c.asOperator("POST", "/shows", show, "Idempotency-Key", "show-"+strconv.FormatInt(id, 10))
		if a.status == http.StatusCreated {
			return ""
		}
		return a.String()
	})
}

// webhook delivers, signed, what a gateway says of a payment; it may be named by its order.
func (c client) webhook(paymentID, status string, headers ...string) answer {
	body := fmt.Appendf(nil, `{"header":{"requestId":"1","requestDS":"2025-02-03T12:00:00Z","uName":"GATEWAY"},
		"payload":{"paymentId":%q,"status":%q}}`, paymentID, status)
	secret, err := payments.ParseSecret(webhookSecret)
	if err != nil {
		return answer{err: err}
	}
	signed := http.Header{}
	secret.Sign(signed, "delivery-"+paymentID+"-"+status, time.Now(), body)
	return c.send("POST", "/webhooks/payment", body, append(headers,
		payments.HeaderID, signed.Get(payments.HeaderID), payments.HeaderTimestamp, signed.Get(payments.HeaderTimestamp),
		payments.HeaderSignature, signed.Get(payments.HeaderSignature))...)
}

// mustWebhook is webhook for a delivery that has to be taken.
func (c client) mustWebhook(paymentID, status string) {
	c.o.t.Helper()
	if a := c.webhook(paymentID, status); a.status != http.StatusOK {
		c.o.t.Fatalf("webhook %s %s: %s", paymentID, status, a)
	}
}

// get reads JSON as the operator; false: it is not there (yet).
func (c client) get(path string, into any) bool {
	c.o.t.Helper()
	a := c.asOperator("GET", path, nil)
	if a.status == http.StatusNotFound {
		return false
	}
	if a.status != http.StatusOK {
		c.o.t.Fatalf("GET %s: %s", path, a)
	}
	if err := json.Unmarshal(a.body, into); err != nil {
		c.o.t.Fatalf("GET %s: %v in %s", path, err, a.body)
	}
	return true
}

// await waits until an order has a status.
func (c client) await(orderID string, status domain.OrderStatus) views.Order {
	c.o.t.Helper()
	var order views.Order
	eventually(c.o.t, orderID+" is "+string(status), func() string {
		if c.get("/orders/"+orderID, &order) && order.Status == status {
			return ""
		}
		return "it is " + string(order.Status) + " " + string(order.Reason)
	})
	return order
}

// awaitStock waits until a show's first ticket type has these counts.
func (c client) awaitStock(show, held, sold, available int64) {
	c.o.t.Helper()
	path := "/shows/" + strconv.FormatInt(show, 10) + "/availability"
	eventually(c.o.t, fmt.Sprintf("%d held, %d sold, %d available", held, sold, available), func() string {
		var now views.Availability
		if !c.get(path, &now) {
			return "there is no such show"
		}
		if s := now.TicketTypes[0]; s.Held != held || s.Sold != sold || s.Available != available {
			return fmt.Sprintf("%+v", s)
		}
		return ""
	})
}

// countOrders pages through an operator's list.
func (c client) countOrders(filter string) int {
	c.o.t.Helper()
	n := 0
	for cursor := ""; ; {
		var page struct {
			Orders []views.Order
			Next   string
		}
		if !c.get("/orders?limit=100&"+filter+cursor, &page) {
			c.o.t.Fatal("there is no list of orders")
		}
		if n += len(page.Orders); page.Next == "" {
			return n
		}
		cursor = "&cursor=" + url.QueryEscape(page.Next)
	}
}

// decode reads a good answer's body.
func decode(a answer, into any) error {
	if a.status != http.StatusOK {
		return fmt.Errorf("not read: %s", a)
	}
	return json.Unmarshal(a.body, into)
}
