// Command boxoffice is the service and the operator's tools.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // shows are in time zones that the machine may not know
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)   // a second signal ends the process at once
	signal.Ignore(syscall.SIGPIPE) // a reader that has gone is an error of the write, which ends the command quietly
	hostname, _ := os.Hostname()   // without one, INSTANCE_ID is asked for
	code := run(ctx, os.Args[1:], surroundings{os.Stdout, os.Stderr, os.Environ(), hostname, os.Stdin, isTerminal(os.Stdin), isTerminal(os.Stderr)})
	stop()
	os.Exit(code)
}

// surroundings are what a command sees of the machine.
type surroundings struct {
	stdout   io.Writer // data
	stderr   io.Writer // talk
	environ  []string
	hostname string
	stdin    io.Reader // answers to questions
	asks     bool      // somebody is there to be asked
	watched  bool      // somebody watches stderr: it is a terminal
}

// run runs one command line and returns its exit code.
func run(ctx context.Context, args []string, around surroundings) int {
	c := &cli{surroundings: around}
	root := c.root()
	root.SetArgs(args)
	root.SetOut(around.stdout)
	root.SetErr(around.stderr)
	command, err := root.ExecuteContextC(ctx)
	return c.end(ctx, command.CommandPath(), err)
}
