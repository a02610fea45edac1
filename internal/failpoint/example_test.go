package failpoint_test

import (
	"fmt"

	"boxoffice/internal/failpoint"
)

func Example() {
	// Between the two halves of something that a crash must not tear apart:
	if err := failpoint.Hit("relay.after_publish"); err != nil {
		fmt.Println("a test wants this to fail:", err)
	}
	fmt.Println("built with failpoints:", failpoint.Enabled)
	// Output: built with failpoints: false
}
