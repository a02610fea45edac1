package payments_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"boxoffice/domain"
	"boxoffice/internal/httpapi"
	"boxoffice/internal/payments"
)

// plain is a gateway's format of its own: the body is the id of the payment that was paid.
type plain struct{}

func (plain) Parse(body []byte, header http.Header) (payments.Delivery, error) {
	if header.Get("Plain-Key") != "right" {
		return payments.Delivery{}, payments.ErrSignature
	}
	return payments.Delivery{Gateway: "plain", DeliveryID: "1", PaymentID: string(body), Kind: payments.Settled, Body: body}, nil
}

func TestAGatewaySpeaksItsOwnFormatAtAnAddressOfItsOwn(t *testing.T) {
	t.Parallel()
	var told []domain.Command
	routes := payments.Routes(payments.WebhookConfig{
		Parser: payments.StandardParser{
			Gateway: "plain", Verifier: payments.NewVerifier(at(vectorTime), secret(t, vectorSecret)),
		},
		Gateway: payments.Gateway{Name: "plain", Parser: plain{}},
		Now:     at(vectorTime),
		Send: func(_ context.Context, c domain.Command, _ payments.Origin) error {
			told = append(told, c)
			return nil
		},
	})
	handler, err := httpapi.NewHandler(httpapi.Config{Log: slog.New(slog.DiscardHandler)}, routes)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path, key string
		want      int
	}{
		{"/webhooks/payment/plain", "wrong", http.StatusUnauthorized},
		{"/webhooks/payment/other", "right", http.StatusNotFound},
		{"/webhooks/payment", "right", http.StatusUnauthorized}, // there it is the owner's format, and not signed
		{"/webhooks/payment/plain", "right", http.StatusOK},
	} {
		r := httptest.NewRequest(http.MethodPost, c.path, strings.NewReader("PAY-20261122-00000001-1"))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Plain-Key", c.key)
		w := httptest.NewRecorder()
		if handler.ServeHTTP(w, r); w.Code != c.want {
			t.Errorf("%s with the %s key: %d, want %d", c.path, c.key, w.Code, c.want)
		}
	}
	want := []domain.Command{domain.SettlePayment{Gateway: "plain", PaymentID: "PAY-20261122-00000001-1"}}
	if !reflect.DeepEqual(told, want) {
		t.Errorf("it was told %+v", told)
	}
}
