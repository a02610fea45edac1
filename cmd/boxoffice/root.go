package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"boxoffice/cmd/internal/config"
)

// cli is one run of the program.
type cli struct {
	surroundings
	started bool   // the command line was understood
	data    string // --data: the directory of a running demo
	demo    int    // process id of the demo that --data named; 0: none
}

func (c *cli) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "boxoffice",
		Short: "Sells tickets, and proves that it did so correctly",
		Long: `Boxoffice sells tickets: event-sourced, on Postgres and Kafka.

Data goes to stdout, talk to stderr. Exit codes: 0 ok, 1 fault, 2 usage, 3 verification differs,
4 someone else holds the lock, 5 a server can't be reached, 130 interrupted.`,
		Example: `  boxoffice serve
  boxoffice verify --kafka
  boxoffice events --data .boxoffice --follow`,
		SilenceErrors:    true,
		SilenceUsage:     true,
		PersistentPreRun: func(*cobra.Command, []string) { c.started = true },
	}
	root.AddCommand(c.serve(), c.migrate(), c.ready(), c.events(), c.lag(), c.dlq(), c.doctor(), c.forget(), c.relay(), c.replay(), c.verify(), c.version(), c.completion(), environment())
	root.SetHelpCommand(c.help())
	root.SetFlagErrorFunc(flagProblem)
	return root
}

// toolFlags adds the flags by which operator commands find the servers.
func (c *cli) toolFlags(cmd *cobra.Command, names ...string) {
	cmd.Flags().SortFlags = false
	cmd.Flags().StringVar(&c.data, "data", "", "use the servers of the demo that runs on this directory")
	config.AddFlags(cmd.Flags(), names...)
	config.AddFlags(cmd.Flags())
}

// tools reads how to find the servers: flags before the demo's description before the environment.
func (c *cli) tools(cmd *cobra.Command, needs ...config.Need) (config.Tools, error) {
	src := config.Source{Environ: c.environ, Flags: cmd.Flags()}
	if c.data != "" {
		demo, err := config.ReadDemo(c.data)
		if err != nil {
			return config.Tools{}, err
		}
		src.Values, c.demo = demo.Values(), demo.PID
	}
	return config.LoadTools(src, needs...)
}

// say tells people something.
func (c *cli) say(format string, args ...any) {
	_, _ = fmt.Fprintf(c.stderr, format+"\n", args...) // nobody is left to tell when stderr is gone
}

// environment is a help topic: it runs nothing.
func environment() *cobra.Command {
	var b strings.Builder
	b.WriteString("Every variable is also a flag of the same name (HOLD_TTL, --hold-ttl), and NAME_FILE names a file\nthat holds its value.\n\n")
	for _, v := range config.Variables() {
		fmt.Fprintf(&b, "  %-28s %s", v.Name, v.About)
		if v.Default != "" {
			fmt.Fprintf(&b, " [%s]", v.Default)
		}
		b.WriteByte('\n')
	}
	return &cobra.Command{Use: "environment", Short: "The variables that configure the service", Long: b.String()}
}
