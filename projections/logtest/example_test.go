package logtest_test

import (
	"fmt"
	"testing"

	"boxoffice/internal/devstack"
	"boxoffice/projections/logtest"
)

// A benchmark writes the log that it measures on.
func Example() {
	testing.Benchmark(func(b *testing.B) {
		written := logtest.Write(b, devstack.Postgres(b).Open(b), logtest.Plan{Events: 1_000, Shows: 2})
		if b.N == 1 {
			fmt.Println("shows", written.Shows, "and", written.Orders[logtest.Paid], "paid orders of", written.Placed())
		}
		for b.Loop() { // what is measured
		}
	})
	// Output: shows [1 2] and 99 paid orders of 135
}
