package main

import (
	"context"
	"fmt"
	"os"
)

func Example() {
	code := run(context.Background(), []string{"verify"}, surroundings{stdout: os.Stdout, stderr: os.Stdout})
	fmt.Println("exit", code)
	// Output:
	// boxoffice verify: the configuration is wrong:
	//   DATABASE_URL: is not set (for example DATABASE_URL=postgres://boxoffice:PASSWORD@db:5432/boxoffice?sslmode=verify-full)
	// See: boxoffice help environment
	// exit 2
}
