package simulator_test

import (
	"fmt"
	"time"

	"boxoffice/internal/payments/simulator"
)

func Example() {
	// On a loopback demo everybody may press the buttons. Run(ctx) would send the webhooks.
	gateway, err := simulator.New(nil, simulator.Config{PublicURL: "http://127.0.0.1:8080", Open: true, Now: time.Now})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, route := range gateway.Routes() {
		fmt.Println(route.Name(), "for", route.Who)
	}
	// Output:
	// GET /simulator/payments/{paymentId} for anyone
	// POST /simulator/payments/{paymentId} for anyone
}
