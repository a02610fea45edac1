package gateways_test

import (
	"fmt"

	"boxoffice/cmd/internal/gateways"
)

// What PAYMENT_GATEWAY may say.
func Example() {
	fmt.Println(gateways.Names())
	// Output: [simulator]
}
