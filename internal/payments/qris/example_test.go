package qris_test

import (
	"fmt"

	"boxoffice/internal/payments/qris"
)

func Example() {
	code, err := qris.QRIS(merchant(), 300_000, "PAY-20250205-338aa78d-1")
	if err != nil {
		fmt.Println(err)
		return
	}
	fields, err := qris.Parse(code)
	fmt.Println(code[len(code)-8:], "closes the code")
	fmt.Println("asks for", fields[qris.TagAmount], "in currency", fields[qris.TagCurrency], err)
	// Output:
	// 63045824 closes the code
	// asks for 300000 in currency 360 <nil>
}
