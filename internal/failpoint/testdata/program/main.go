// Program hits one point three times, and counts aloud.
package main

import (
	"fmt"

	"boxoffice/internal/failpoint"
)

func main() {
	for n := range 3 {
		if err := failpoint.Hit("point"); err != nil {
			fmt.Print("error ")
			continue
		}
		fmt.Print(n+1, " ")
	}
}
