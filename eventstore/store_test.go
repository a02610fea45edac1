package eventstore_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"go.uber.org/goleak"

	"boxoffice"
	"boxoffice/eventstore/storetest"
	"boxoffice/internal/devstack"
)

// stallURL in the environment makes the test binary a writer that stalls in its turn.
const stallURL = "EVENTSTORE_STALL_URL"

func TestMain(m *testing.M) {
	if url := os.Getenv(stallURL); url != "" {
		if err := storetest.Stall(context.Background(), url, os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(devstack.Tidy(m))
}

func TestStore(t *testing.T) {
	storetest.Run(t, storetest.Backend{
		Schema:   boxoffice.Schema(),
		Database: func(t *testing.T) string { t.Helper(); return devstack.Postgres(t).URL },
		Server: func(t *testing.T) storetest.Server {
			t.Helper()
			pg := devstack.OwnPostgres(t, nil)
			return storetest.Server{
				URL:     pg.URL,
				Crash:   pg.Server.Crash,
				Restart: func() error { return pg.Server.Restart(t.Context()) },
			}
		},
		Staller: func(t *testing.T, url string) *exec.Cmd {
			t.Helper()
			cmd := exec.CommandContext(t.Context(), os.Args[0]) // this test binary
			cmd.Env = append(os.Environ(), stallURL+"="+url)
			cmd.Stderr = os.Stderr
			return cmd
		},
	})
}
