package payments_test

import (
	"fmt"
	"net/http"
	"time"

	"boxoffice/internal/payments"
)

func Example() {
	secret, err := payments.ParseSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		fmt.Println(err)
		return
	}
	// The gateway signs a delivery …
	now := time.Date(2025, 2, 5, 12, 0, 0, 0, time.UTC)
	body := []byte(`{"payload":{"paymentId":"ORDER-20250205-338aa78d","status":"SUCCESS","amount":300000}}`)
	header := http.Header{}
	secret.Sign(header, "msg_1", now, body)

	// … and we read it, by our clock and with the secrets that are in force.
	clock := func() time.Time { return now.Add(2 * time.Second) }
	parser := payments.StandardParser{Gateway: "simulator", Verifier: payments.NewVerifier(clock, secret)}
	delivery, err := parser.Parse(body, header)
	fmt.Println(delivery.DeliveryID, delivery.PaymentID, delivery.Kind == payments.Settled, *delivery.Amount, err)

	_, err = parser.Parse(append(body, ' '), header)
	fmt.Println(err)
	// Output:
	// msg_1 ORDER-20250205-338aa78d true 300000 <nil>
	// delivery is not signed as agreed
}
