package payments_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"boxoffice/domain"
	"boxoffice/internal/httpapi"
	"boxoffice/internal/payments"
)

// sent is what came out of the webhook.
type sent struct {
	command domain.Command
	origin  payments.Origin
}

// door is the webhook on a handler of its own.
func door(t *testing.T, unsigned bool, answer error) (http.Handler, *[]sent) {
	t.Helper()
	var all []sent
	routes := payments.Routes(payments.WebhookConfig{
		Parser: payments.StandardParser{
			Gateway: "simulator", Verifier: payments.NewVerifier(at(vectorTime), secret(t, vectorSecret)), AllowUnsigned: unsigned,
		},
		Now: at(vectorTime),
		Send: func(_ context.Context, c domain.Command, o payments.Origin) error {
			all = append(all, sent{c, o})
			return answer
		},
	})
	handler, err := httpapi.NewHandler(httpapi.Config{Log: slog.New(slog.DiscardHandler)}, routes)
	if err != nil {
		t.Fatal(err)
	}
	return handler, &all
}

func post(handler http.Handler, body string, header http.Header) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/webhooks/payment", bytes.NewReader([]byte(body)))
	r.Header = header.Clone()
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w
}

func signedFor(t *testing.T, body string) http.Header {
	t.Helper()
	header := http.Header{}
	secret(t, vectorSecret).Sign(header, "msg_1", time.Unix(vectorTime, 0), []byte(body))
	return header
}

func payload(inner string) string {
	return `{"header":{"requestId":"123456","requestDS":"2025-02-03T12:00:00Z","uName":"USER_TESTING"},"payload":` + inner + `}`
}

func responseCode(t *testing.T, w *httptest.ResponseRecorder) string {
	t.Helper()
	var answer struct {
		Header struct {
			Code string `json:"responseCode"`
		} `json:"header"`
	}
	if err := json.NewDecoder(bytes.NewReader(w.Body.Bytes())).Decode(&answer); err != nil {
		t.Fatalf("answer %s: %v", w.Body, err)
	}
	return answer.Header.Code
}

func TestWebhookCommands(t *testing.T) {
	t.Parallel()
	amount := int64(300_000)
	settle := func(status string) domain.Command {
		return domain.SettlePayment{Gateway: "simulator", PaymentID: "ORDER-20250205-338aa78d", GatewayStatus: status}
	}
	fail := func(status string) domain.Command {
		return domain.FailPayment{Gateway: "simulator", PaymentID: "ORDER-20250205-338aa78d", GatewayStatus: status}
	}
	type row struct {
		inner string
		want  domain.Command
	}
	rows := map[string]row{
		"says all": {
			`{"paymentId":"PAY-20250205-338aa78d-1","status":"SUCCESS","amount":300000,"currency":"idr","reference":"R-1"}`,
			domain.SettlePayment{
				Gateway: "simulator", PaymentID: "PAY-20250205-338aa78d-1", Amount: &amount, Currency: "IDR",
				Reference: "R-1", GatewayStatus: "SUCCESS",
			},
		},
		"says more than we know": {
			`{"paymentId":"ORDER-20250205-338aa78d","status":"PAID","fee":700.5,"more":null,"list":[1,{"a":null}]}`, settle("PAID"),
		},
		"says null where it knows nothing": {
			`{"paymentId":"ORDER-20250205-338aa78d","status":"PAID","amount":null,"currency":null,"reference":null}`, settle("PAID"),
		},
		"is pending": {`{"paymentId":"ORDER-20250205-338aa78d","status":"PENDING"}`, nil},
	}
	for _, status := range []string{"SUCCESS", "success", "Completed", "SETTLEMENT", "paid"} {
		rows["is "+status] = row{`{"paymentId":"ORDER-20250205-338aa78d","status":"` + status + `"}`, settle(status)}
	}
	for _, status := range []string{"FAILED", "deny", "EXPIRE", "CANCEL", "Cancelled", "CANCELED"} {
		rows["is "+status] = row{`{"paymentId":"ORDER-20250205-338aa78d","status":"` + status + `"}`, fail(status)}
	}
	for name, c := range rows {
		t.Run("a delivery that "+name, func(t *testing.T) {
			t.Parallel()
			handler, commands := door(t, false, nil)
			body := payload(c.inner)
			w := post(handler, body, signedFor(t, body))
			if w.Code != http.StatusOK || responseCode(t, w) != "00" {
				t.Fatalf("answer %d %s", w.Code, w.Body)
			}
			if c.want == nil {
				if len(*commands) != 0 {
					t.Errorf("commands %v, want none", *commands)
				}
				return
			}
			want := []sent{{c.want, payments.Origin{Actor: "gateway:simulator", Delivery: &payments.Received{
				Gateway: "simulator", DeliveryID: "msg_1", ReceivedAt: time.Unix(vectorTime, 0), Body: []byte(body),
			}}}}
			if !reflect.DeepEqual(*commands, want) {
				t.Errorf("commands %+v, want %+v", *commands, want)
			}
		})
	}
}

func TestWebhookRefuses(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"nothing":                      "",
		"text":                         "garbage",
		"null":                         "null",
		"a list":                       "[]",
		"an empty object":              "{}",
		"a payload that is null":       `{"payload":null}`,
		"no payment":                   payload(`{"status":"SUCCESS"}`),
		"an empty payment":             payload(`{"paymentId":"","status":"SUCCESS"}`),
		"a payment of 65 characters":   payload(`{"paymentId":"` + strings.Repeat("x", 65) + `","status":"SUCCESS"}`),
		"a payment that is a number":   payload(`{"paymentId":1,"status":"SUCCESS"}`),
		"no status":                    payload(`{"paymentId":"x"}`),
		"a status nobody knows":        payload(`{"paymentId":"x","status":"MAYBE"}`),
		"an amount with decimals":      payload(`{"paymentId":"x","status":"SUCCESS","amount":1.5}`),
		"an amount in quotes":          payload(`{"paymentId":"x","status":"SUCCESS","amount":"1"}`),
		"an amount beyond 64 bits":     payload(`{"paymentId":"x","status":"SUCCESS","amount":9223372036854775808}`),
		"a key twice":                  payload(`{"paymentId":"x","status":"SUCCESS","status":"FAILED"}`),
		"a second value":               payload(`{"paymentId":"x","status":"SUCCESS"}`) + "{}",
		"a NUL":                        payload(`{"paymentId":"x\u0000","status":"SUCCESS"}`),
		"what is not UTF-8":            payload("{\"paymentId\":\"\xff\",\"status\":\"SUCCESS\"}"),
		"a reference that is too long": payload(`{"paymentId":"x","status":"SUCCESS","reference":"` + strings.Repeat("r", 129) + `"}`),
	} {
		t.Run("a signed delivery of "+name, func(t *testing.T) {
			t.Parallel()
			handler, commands := door(t, false, nil)
			if w := post(handler, body, signedFor(t, body)); w.Code != http.StatusBadRequest || responseCode(t, w) != "80" {
				t.Errorf("answer %d %s, want 400", w.Code, w.Body)
			}
			if len(*commands) != 0 {
				t.Errorf("commands %v", *commands)
			}
		})
	}

	t.Run("a bad signature before it reads the body", func(t *testing.T) {
		t.Parallel()
		handler, commands := door(t, true, nil)
		for _, body := range []string{payload(`{"paymentId":"x","status":"SUCCESS"}`), "garbage"} {
			header := signedFor(t, body+" ")
			if w := post(handler, body, header); w.Code != http.StatusUnauthorized || responseCode(t, w) != "01" {
				t.Errorf("answer %d %s, want 401", w.Code, w.Body)
			}
		}
		if len(*commands) != 0 {
			t.Errorf("commands %v", *commands)
		}
	})

	t.Run("a delivery that is too large", func(t *testing.T) {
		t.Parallel()
		handler, _ := door(t, false, nil)
		body := payload(`{"paymentId":"x","status":"SUCCESS","fill":"` + strings.Repeat("x", 300<<10) + `"}`)
		if w := post(handler, body, signedFor(t, body)); w.Code != http.StatusRequestEntityTooLarge {
			t.Errorf("answer %d, want 413", w.Code)
		}
	})
}

func TestWebhookUnsigned(t *testing.T) {
	t.Parallel()
	body := payload(`{"paymentId":"ORDER-20250205-338aa78d","status":"SUCCESS"}`)

	t.Run("is refused where signatures are needed", func(t *testing.T) {
		t.Parallel()
		handler, _ := door(t, false, nil)
		if w := post(handler, body, http.Header{}); w.Code != http.StatusUnauthorized {
			t.Errorf("answer %d, want 401", w.Code)
		}
	})

	t.Run("is taken by a demo", func(t *testing.T) {
		t.Parallel()
		handler, commands := door(t, true, nil)
		if w := post(handler, body, http.Header{}); w.Code != http.StatusOK || len(*commands) != 1 {
			t.Fatalf("answer %d, commands %v", w.Code, *commands)
		}
		if id := (*commands)[0].origin.Delivery.DeliveryID; !strings.HasPrefix(id, "unsigned-") {
			t.Errorf("delivery id %s", id)
		}
	})

	for _, name := range []string{payments.HeaderID, payments.HeaderTimestamp, payments.HeaderSignature} {
		t.Run("is refused by a demo too if there is a "+name, func(t *testing.T) {
			t.Parallel()
			handler, _ := door(t, true, nil)
			header := http.Header{name: signedFor(t, body)[name]}
			if w := post(handler, body, header); w.Code != http.StatusUnauthorized {
				t.Errorf("answer %d, want 401", w.Code)
			}
		})
	}
}

func TestWebhookAnswers(t *testing.T) {
	t.Parallel()
	body := payload(`{"paymentId":"ORDER-20250205-338aa78d","status":"SUCCESS"}`)

	t.Run("200 to what changes nothing", func(t *testing.T) {
		t.Parallel()
		handler, _ := door(t, false, &domain.Rejection{Code: domain.NotFound, Detail: "There is no such order."})
		if w := post(handler, body, signedFor(t, body)); w.Code != http.StatusOK || responseCode(t, w) != "00" {
			t.Errorf("answer %d %s", w.Code, w.Body)
		}
	})

	t.Run("503 while a delivery can't be stored", func(t *testing.T) {
		t.Parallel()
		for _, fault := range []error{errors.New("pq: no connection"), httpapi.ErrOverloaded, io.ErrUnexpectedEOF, context.DeadlineExceeded} {
			handler, _ := door(t, false, fault)
			w := post(handler, body, signedFor(t, body))
			if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || responseCode(t, w) != "99" {
				t.Errorf("%v: answer %d %s %v", fault, w.Code, w.Body, w.Header())
			}
			if strings.Contains(w.Body.String(), "pq") {
				t.Errorf("the answer tells of the fault: %s", w.Body)
			}
		}
	})
}

func TestWhatBecomesOfDeliveriesIsTold(t *testing.T) {
	t.Parallel()
	paid := payload(`{"paymentId":"PAY-1","status":"SUCCESS"}`)
	for _, c := range []struct {
		name   string
		body   string
		forged bool
		answer error
		want   payments.WebhookResult
		status int
	}{
		{"a payment", paid, false, nil, payments.WebhookAccepted, http.StatusOK},
		{"money for nothing", paid, false, payments.ErrUnmatched, payments.WebhookUnmatched, http.StatusOK},
		{"money that a rule refuses", paid, false, &domain.Rejection{Code: domain.NotFound}, payments.WebhookRefused, http.StatusOK},
		{"a payment that waits", payload(`{"paymentId":"PAY-1","status":"PENDING"}`), false, nil, payments.WebhookIrrelevant, http.StatusOK},
		{"another's signature", paid, true, nil, payments.WebhookForged, http.StatusUnauthorized},
		{"no payment at all", `{}`, false, nil, payments.WebhookUnreadable, http.StatusBadRequest},
		{"a log that is away", paid, false, errors.New("away"), payments.WebhookUnavailable, http.StatusServiceUnavailable},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var told []payments.WebhookResult
			handler, err := httpapi.NewHandler(httpapi.Config{Log: slog.New(slog.DiscardHandler)}, payments.Routes(payments.WebhookConfig{
				Parser:  payments.StandardParser{Gateway: "simulator", Verifier: payments.NewVerifier(at(vectorTime), secret(t, vectorSecret))},
				Now:     at(vectorTime),
				Send:    func(context.Context, domain.Command, payments.Origin) error { return c.answer },
				Observe: func(r payments.WebhookResult) { told = append(told, r) },
			}))
			if err != nil {
				t.Fatal(err)
			}
			header := signedFor(t, c.body)
			if c.forged {
				header = signedFor(t, c.body+" ")
			}
			if w := post(handler, c.body, header); w.Code != c.status || !reflect.DeepEqual(told, []payments.WebhookResult{c.want}) {
				t.Errorf("answered %d and told %v", w.Code, told)
			}
		})
	}
}
