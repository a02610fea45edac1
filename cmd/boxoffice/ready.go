package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"boxoffice/cmd/internal/config"
)

const (
	readyTimeout = 3 * time.Second
	maxReadyBody = 4 << 10 // bytes of an answer that are repeated
)

func (c *cli) ready() *cobra.Command {
	var address string
	cmd := &cobra.Command{
		Use:   "ready",
		Short: "Ask a process of the service whether it is ready",
		Long: `Asks /readyz and exits with 0 when the answer is yes, for health checks where there is no HTTP client.
Every process answers beside its metrics, whatever its roles: without --url that one of this machine is asked.`,
		Example: `  boxoffice ready
  boxoffice ready --url http://127.0.0.1:8080`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if address == "" {
				metrics, err := config.MetricsURL(config.Source{Environ: c.environ, Flags: cmd.Flags()})
				if err != nil {
					return err
				}
				address = metrics
			} else if err := config.CheckURL(address); err != nil {
				return c.misused("--url: %q %w", address, err)
			}
			return c.askReady(cmd.Context(), address)
		},
	}
	cmd.Flags().StringVar(&address, "url", "", "where the process is (default: METRICS_ADDR on this machine)")
	config.AddFlags(cmd.Flags(), "METRICS_ADDR")
	return cmd
}

func (c *cli) askReady(ctx context.Context, address string) error {
	within, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(within, http.MethodGet, strings.TrimSuffix(address, "/")+"/readyz", nil)
	if err != nil {
		return fmt.Errorf("--url: %w", err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return &unreachable{"the process at " + address, err}
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxReadyBody))
	if err != nil {
		return &unreachable{"the process at " + address, err}
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("not ready: %d %s", answer.StatusCode, body)
	}
	_, err = fmt.Fprintln(c.stdout, strings.TrimSpace(string(body)))
	return written(err)
}
