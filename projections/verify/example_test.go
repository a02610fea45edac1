package verify_test

import (
	"encoding/json"
	"fmt"

	"boxoffice/projections/verify"
)

func ExampleReport() {
	r := verify.Report{Found: 1, Findings: []verify.Finding{{
		Kind: verify.KindCapacity, Key: "show-1:7", Position: 42, Detail: "type 1 by its members: held 3, sold 8, capacity 10",
	}}}
	line, err := json.Marshal(r.Findings[0])
	fmt.Println(r.Ok(), string(line), err)
	// Output:
	// false {"kind":"capacity","key":"show-1:7","position":42,"detail":"type 1 by its members: held 3, sold 8, capacity 10"} <nil>
}
