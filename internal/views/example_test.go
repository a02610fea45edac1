package views_test

import (
	"fmt"

	"boxoffice/domain"
	"boxoffice/internal/views"
)

// The refunds of an order are told as one: what still needs somebody to look at it comes first.
func ExampleSumRefunds() {
	sum := views.SumRefunds([]views.RefundPart{
		{RefundID: "REFUND-1", Status: domain.RefundDone, Amount: 150_000},
		{RefundID: "REFUND-2", Status: domain.RefundDue, Amount: 50_000},
	})
	fmt.Println(sum.Status, sum.Amount)
	// Output: DUE 200000
}
