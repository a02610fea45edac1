package main

import (
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"boxoffice/cmd/internal/config"
	"boxoffice/cmd/internal/serve"
)

func (c *cli) serve() *cobra.Command {
	var roles string
	var noMigrate bool
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the service",
		Long: `Runs the service on Postgres and Kafka. It brings the database to this version's schema first, if it may.
Any number of processes may run, with any mix of roles, started in any order. It is configured by the
environment, and every variable is also a flag: boxoffice help environment.`,
		Example: `  boxoffice serve
  boxoffice serve --roles api --http-addr :8081
  boxoffice serve --roles relay,projections --no-migrate`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			parsed, _ := config.ParseRoles(roles) // Load says what is wrong with them, among all else
			cfg, err := config.Load(config.Source{Environ: c.environ, Flags: cmd.Flags(), Hostname: c.hostname, Roles: parsed})
			if err != nil {
				return err
			}
			cfg.MigrateAtStart = !noMigrate
			serve.Tune()
			return serve.Run(cmd.Context(), serve.Options{Config: cfg, Log: c.logger(cfg)})
		},
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().StringVar(&roles, "roles", config.AllRoles().String(), "what this process does")
	cmd.Flags().BoolVar(&noMigrate, "no-migrate", false, "leave the schema as it is")
	config.AddFlags(cmd.Flags())
	return cmd
}

// logger writes to stderr, as text where a person looks on.
func (c *cli) logger(cfg config.Config) *slog.Logger {
	options := &slog.HandlerOptions{Level: cfg.LogLevel}
	if cfg.LogFormat == config.LogText || (cfg.LogFormat == config.LogAuto && isTerminal(c.stderr)) {
		return slog.New(slog.NewTextHandler(c.stderr, options))
	}
	return slog.New(slog.NewJSONHandler(c.stderr, options))
}

func isTerminal(w any) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
