package gather_test

import (
	"context"
	"fmt"
	"strings"
	"time"

	"boxoffice/internal/gather"
)

func Example() {
	// One query for all names that are asked for at the same time.
	shout := gather.New(256, time.Second, func(_ context.Context, names []string) ([]string, error) {
		return strings.Split(strings.ToUpper(strings.Join(names, ",")), ","), nil
	})
	answer, err := shout.Do(context.Background(), "sari")
	fmt.Println(answer, err)
	// Output: SARI <nil>
}
