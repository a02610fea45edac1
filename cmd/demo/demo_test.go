package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"boxoffice/cmd/internal/config"
	"boxoffice/internal/httpapi/openapitest"
	"boxoffice/internal/views"
)

// secondStart is the most a start on kept data may take on a machine that has other things to do.
const secondStart = 15 * time.Second

// TestTheDemo goes through the life of one folder.
func TestTheDemo(t *testing.T) {
	program, dir := build(t), filepath.Join(t.TempDir(), "data")
	var orderID string
	t.Run("takes the two requests of the owner's format as printed", func(t *testing.T) {
		d := launch(t, dir, program)
		t.Logf("a first start took %s", d.took.Round(time.Millisecond))
		orderID = d.tour()

		t.Run("tells its secrets to its owner only", func(t *testing.T) {
			info, err := os.Stat(filepath.Join(dir, "demo.json"))
			if err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("demo.json: %v %v", info, err)
			}
			if d.about.PID != d.cmd.Process.Pid || d.about.OperatorKey == "" || d.about.WebhookSecret == "" ||
				d.about.DatabaseURL == "" || len(d.about.KafkaBrokers) != 1 || d.about.MetricsURL == "" {
				t.Errorf("demo.json lacks something: %+v", d.about)
			}
		})
		t.Run("refuses a second demo on its folder", func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), endLimit)
			defer cancel()
			out, err := exec.CommandContext(ctx, program, "--addr", "127.0.0.1:0", "--data", dir).CombinedOutput()
			if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 1 || !strings.Contains(string(out), "already") {
				t.Errorf("a second demo ended with %v:\n%s", err, out)
			}
			if order := d.order(orderID); order.Status != "COMPLETED" {
				t.Errorf("after that, the first one says %+v", order)
			}
		})
		t.Run("ends when it is told to and leaves nothing behind", func(t *testing.T) {
			took := d.terminate()
			t.Logf("it ended %s after SIGTERM", took.Round(time.Millisecond))
			if left := processesIn(t, dir); len(left) > 0 {
				t.Errorf("there are still:\n%s", strings.Join(left, "\n"))
			}
			if _, err := config.ReadDemo(dir); !errors.Is(err, config.ErrNoDemo) {
				t.Errorf("demo.json after the end: %v", err)
			}
		})
	})
	t.Run("keeps its data and starts fast on it", func(t *testing.T) {
		d := launch(t, dir, program)
		t.Logf("a second start took %s", d.took.Round(time.Millisecond))
		if d.took > secondStart {
			t.Errorf("more than %s", secondStart)
		}
		if order := d.order(orderID); order.Status != "COMPLETED" || len(order.Tickets) != 2 {
			t.Errorf("the order of the first start is %+v", order)
		}
		d.terminate()
	})
	t.Run("ends when whoever started it was killed", func(t *testing.T) {
		shell := launch(t, dir, "sh", "-c", `"$@"; true`, "sh", program)
		if shell.about.PID == shell.cmd.Process.Pid {
			t.Fatal("the shell has become the demo, so it is not its parent")
		}
		begun := time.Now()
		shell.kill()
		shell.awaitKilled()
		t.Logf("nothing was left %s after its parent was killed", time.Since(begun).Round(time.Millisecond))
		if _, err := config.ReadDemo(dir); !errors.Is(err, config.ErrNoDemo) {
			t.Errorf("demo.json after the end: %v", err)
		}
	})
	t.Run("loses no answered order to kill -9", func(t *testing.T) { campaign(t, program, dir) })
}

// tour sends the two requests that the README shows, and returns the order's id when it has its tickets.
func (d *running) tour() string {
	d.t.Helper()
	text := d.send("POST", "/orders/ticket", `{"header":{"requestId":"123456","requestDS":"2025-02-03T12:00:00Z","uName":"USER_TESTING"},
 "payload":{"ticketId":1,"eventId":1,"quantity":2,"paymentMethod":"QRIS"}}`)
	var answer struct {
		Header  struct{ ResponseCode string }
		Payload struct {
			OrderID string `json:"orderId"`
		}
	}
	if err := json.Unmarshal(text, &answer); err != nil || answer.Header.ResponseCode != "00" || answer.Payload.OrderID == "" {
		d.t.Fatalf("POST /orders/ticket: %s", text)
	}
	id := answer.Payload.OrderID
	d.send("POST", "/webhooks/payment", fmt.Sprintf(`{"header":{"requestId":"123456","requestDS":"2025-02-03T12:00:00Z","uName":"USER_TESTING"},
 "payload":{"paymentId":"%s","status":"SUCCESS"}}`, id))
	var order views.Order
	for end := time.Now().Add(endLimit); order.Status != "COMPLETED"; order = d.order(id) {
		if time.Now().After(end) {
			d.t.Fatalf("%s is %+v", id, order)
		}
	}
	if len(order.Tickets) != 2 {
		d.t.Errorf("it has %d tickets", len(order.Tickets))
	}
	for word, want := range map[string]string{"order ": id, "webhook ": id + " is COMPLETED"} {
		if lines := d.said.lines(word); len(lines) != 1 || !strings.Contains(lines[0], want) {
			d.t.Errorf("it says %q where a line with %q was expected", lines, want)
		}
	}
	return id
}

// send sends JSON, as the operator, and returns the body of a good answer.
func (d *running) send(method, path, body string, headers ...string) []byte {
	d.t.Helper()
	status, _, text, err := d.try(&http.Client{Transport: openapitest.NewTransport(d.t, nil)}, method, path, body, headers...)
	if err != nil || status >= http.StatusBadRequest {
		d.t.Fatalf("%s %s: %d %s %v", method, path, status, text, err)
	}
	return text
}

// try is send for an answer that may not come.
func (d *running) try(client *http.Client, method, path, body string, headers ...string) (status int, header http.Header, text []byte, err error) {
	request, err := http.NewRequestWithContext(d.t.Context(), method, d.about.URL+path, bytes.NewBufferString(body))
	if err != nil {
		return 0, nil, nil, err
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	if !strings.HasPrefix(path, "/webhooks/") && path != "/orders/ticket" {
		request.Header.Set("Authorization", "Bearer "+d.about.OperatorKey)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, nil, nil, err
	}
	defer func() { _ = response.Body.Close() }()
	text, err = io.ReadAll(response.Body)
	return response.StatusCode, response.Header, text, err
}

// order is an order as the operator sees it, waiting for it to be visible at all.
func (d *running) order(id string) views.Order {
	d.t.Helper()
	var order views.Order
	if err := json.Unmarshal(d.send("GET", "/orders/"+id+"?version=1", ""), &order); err != nil {
		d.t.Fatal(err)
	}
	return order
}
