// Command demo runs the whole of Boxoffice in one process: an embedded Postgres and an embedded
// Kafka-protocol broker, every role, a simulated payment gateway and sample shows. It needs nothing but Go.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
	_ "time/tzdata" // shows are in time zones that the machine may not know

	"github.com/spf13/pflag"

	"boxoffice/cmd/internal/config"
	"boxoffice/cmd/internal/serve"
)

func main() {
	serve.Tune()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case err == nil, errors.Is(err, pflag.ErrHelp):
	case errors.Is(err, errUsage):
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// errUsage is in the tree of errors about the command line.
var errUsage = errors.New("wrong usage")

// options are what the command line may say.
type options struct {
	addr    string
	data    string
	fresh   bool
	holdTTL time.Duration
	log     slog.Level
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	var level string
	flags := pflag.NewFlagSet("demo", pflag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.SortFlags = false
	flags.StringVar(&o.addr, "addr", "127.0.0.1:8080", "where HTTP is served; port 0 picks one")
	flags.StringVar(&o.data, "data", ".boxoffice", "directory that keeps the data between runs")
	flags.BoolVar(&o.fresh, "fresh", false, "start with an empty directory")
	flags.DurationVar(&o.holdTTL, "hold-ttl", 15*time.Minute, "how long an unpaid order holds its tickets")
	flags.StringVar(&level, "log-level", "warn", "debug, info, warn or error; goes to stderr")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, pflag.ErrHelp) {
			return o, err
		}
		return o, fmt.Errorf("%w: %w", errUsage, err)
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("%w: %q is not expected", errUsage, flags.Arg(0))
	}
	if err := config.CheckAddress(o.addr); err != nil {
		return o, fmt.Errorf("%w: --addr: %w", errUsage, err)
	}
	if o.holdTTL < time.Second || o.holdTTL > 24*time.Hour {
		return o, fmt.Errorf("%w: --hold-ttl must be from 1s to 24h", errUsage)
	}
	if err := o.log.UnmarshalText([]byte(level)); err != nil {
		return o, fmt.Errorf("%w: --log-level: %w", errUsage, err)
	}
	if o.data == "" {
		return o, fmt.Errorf("%w: --data must name a directory", errUsage)
	}
	data, err := filepath.Abs(o.data)
	if err != nil {
		return o, fmt.Errorf("--data: %w", err)
	}
	o.data = data
	return o, nil
}
