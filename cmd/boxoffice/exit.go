package main

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"github.com/IBM/sarama"
	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"

	"boxoffice/cmd/internal/config"
)

// The exit codes, as the outside contract gives them.
const (
	exitOK          = 0
	exitFault       = 1
	exitUsage       = 2
	exitDiffers     = 3
	exitHeld        = 4
	exitUnreachable = 5
	exitInterrupted = 130
)

// errDiffers ends a verification that has found something, and has told it.
var errDiffers = errors.New("verification differs")

// unreachable is a server that can't be reached.
type unreachable struct {
	server string // what it is and where
	cause  error
}

func (u *unreachable) Error() string { return u.server + " can't be reached: " + u.cause.Error() }
func (u *unreachable) Unwrap() error { return u.cause }

// outputError says that data could not be written to stdout.
type outputError struct{ cause error }

func (o *outputError) Error() string { return "write the output: " + o.cause.Error() }
func (o *outputError) Unwrap() error { return o.cause }

// written is the error of a write to stdout.
func written(err error) error {
	if err == nil {
		return nil
	}
	return &outputError{err}
}

// end tells what went wrong, with a likely reason and what to do next, and gives the exit code.
func (c *cli) end(ctx context.Context, command string, err error) int {
	var gone *unreachable
	var unwritten *outputError
	var held *heldError
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errDiffers):
		return exitDiffers
	case errors.Is(err, errUnwell):
		return exitFault
	case errors.As(err, &unwritten) && errors.Is(err, syscall.EPIPE):
		return exitOK // who read our output has seen enough
	case errors.Is(err, errStopped):
		return exitInterrupted
	case ctx.Err() != nil && canceled(err):
		c.say("%s: interrupted", command)
		return exitInterrupted
	case len(config.Problems(err)) > 0:
		c.say("%s: the configuration is wrong:", command)
		for _, p := range config.Problems(err) {
			c.say("  %s", p)
		}
		c.say("See: boxoffice help environment")
		return exitUsage
	case !c.started:
		c.say("%s: %v", command, err)
		c.say("See: %s --help", command)
		return exitUsage
	case errors.Is(err, config.ErrNoDemo):
		c.say("%s: %v\nStart one: go run ./cmd/demo --data %s", command, err, c.data)
		return exitUnreachable
	case errors.As(err, &held):
		c.say("%s: %v\nTry again when that has ended.", command, err)
		return exitHeld
	case errors.As(err, &unwritten):
		c.say("%s: %v", command, err)
		return exitFault
	case (errors.As(err, &gone) || offline(err)) && c.demoIsGone():
		c.say("%s: the demo that wrote %s is not running: its process %d has ended, or was killed", command, filepath.Join(c.data, "demo.json"), c.demo)
		c.say("Start it: go run ./cmd/demo --data %s", c.data)
		return exitUnreachable
	case errors.As(err, &gone), offline(err):
		c.say("%s: %v\nIs it running, and is the address right? The address comes from --data, a flag or the environment: boxoffice help environment", command, err)
		return exitUnreachable
	}
	c.say("%s: %v", command, err)
	if next := advice(err); next != "" {
		c.say("%s", next)
	}
	return exitFault
}

// demoIsGone reports whether --data named a demo whose process is not there any more. It is asked only when a
// server does not answer: a demo in a container is not seen from outside, and answers nevertheless.
func (c *cli) demoIsGone() bool {
	if c.demo <= 0 {
		return false
	}
	process, err := os.FindProcess(c.demo)
	return err != nil || errors.Is(process.Signal(syscall.Signal(0)), os.ErrProcessDone)
}

// canceled reports whether an error came from the end of the context, here or in Postgres.
func canceled(err error) bool {
	var stopped *pq.Error
	return errors.Is(err, context.Canceled) || (errors.As(err, &stopped) && stopped.Code == pqerror.QueryCanceled)
}

// offline reports whether an error means that a server was not there, rather than that it refused.
func offline(err error) bool {
	var network net.Error
	var refused *pq.Error
	switch {
	case errors.As(err, &network) && !local(err), errors.Is(err, driver.ErrBadConn), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return true
	case errors.Is(err, sarama.ErrOutOfBrokers), errors.Is(err, sarama.ErrNotConnected), errors.Is(err, sarama.ErrClosedClient):
		return true
	case errors.As(err, &refused):
		// The server is there, but starting up or shutting down.
		return refused.Code == pqerror.CannotConnectNow || refused.Code == pqerror.AdminShutdown || refused.Code == pqerror.CrashShutdown
	}
	return false
}

// local reports whether a fault is this machine's: an address that can't be listened on, a full disk.
func local(err error) bool {
	var operation *net.OpError
	return errors.As(err, &operation) && operation.Op == "listen"
}

// advice is what an operator may do about a fault.
func advice(err error) string {
	var refused *pq.Error
	switch {
	case errors.As(err, &refused) && refused.Code == pqerror.UndefinedTable:
		return "The database has not this version's schema. Try: boxoffice migrate"
	case errors.As(err, &refused) && refused.Code == pqerror.InvalidCatalogName:
		return "The server is there, the database is not: create it, or correct the name in DATABASE_URL."
	case errors.As(err, &refused) && refused.Code.Class() == "28":
		return "The server is there but does not let this user in: check the user and password in DATABASE_URL."
	case errors.As(err, &refused) && refused.Code == pqerror.InsufficientPrivilege:
		return "This role may not do that: give MIGRATE_DATABASE_URL for migrate and replay, or grant it the right."
	case errors.As(err, &refused) && refused.Code == pqerror.LockNotAvailable:
		return "Somebody works on that table for long: a dump, a report, a migration. Try again when that has ended."
	case errors.Is(err, sarama.ErrUnknownTopicOrPartition):
		return "The topics are made when serve starts; is KAFKA_TOPIC_PREFIX the same here?"
	}
	return ""
}
