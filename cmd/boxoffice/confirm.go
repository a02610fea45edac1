package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
)

// errDeclined ends a command that asked and was not told yes.
var errDeclined = errors.New("nothing was changed")

// maxAnswer is how many bytes of an answer are read.
const maxAnswer = 64

// confirm asks a person, until ctx ends. Where there is none it says which flag answers. Errors: errDeclined,
// the end of ctx, faults of the terminal.
func (c *cli) confirm(ctx context.Context, question string) error {
	if !c.asks {
		return fmt.Errorf("%w: %s Nobody can be asked here; say --yes", errDeclined, question)
	}
	_, _ = fmt.Fprint(c.stderr, question, " [y/N] ") // nobody is left to ask when stderr is gone, and the answer is no
	// Whoever waits for a line of a terminal can't be called back, and is left behind with the process.
	read := make(chan error, 1)
	var answer string
	go func() {
		line, err := bufio.NewReader(io.LimitReader(c.stdin, maxAnswer)).ReadString('\n')
		answer = strings.ToLower(strings.TrimSpace(line))
		read <- err
	}()
	select {
	case <-ctx.Done():
		c.say("")
		return ctx.Err()
	case err := <-read:
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("read the answer: %w", err)
		}
	}
	if answer != "y" && answer != "yes" {
		return errDeclined
	}
	return nil
}
