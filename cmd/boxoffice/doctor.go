package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"boxoffice/cmd/internal/config"
)

const (
	doctorLimit = time.Minute      // of all checks together
	checkLimit  = 15 * time.Second // of one group of them
)

// errUnwell ends a doctor that has found something wrong, and has told it.
var errUnwell = errors.New("something is wrong")

// status is what a check came to.
type status string

const (
	well  status = "ok"
	wary  status = "warn" // works, and may not for long or not in every case
	wrong status = "fail"
)

// finding is what one check found.
type finding struct {
	Status status `json:"status"`
	Name   string `json:"name"`
	What   string `json:"what"`
	Advice string `json:"advice,omitempty"`
}

// doctor looks at everything that the service depends on.
type doctor struct {
	tools    config.Tools
	mail     config.URL // of the mail server, as serve would read it here
	findings []finding
	away     []error // servers that can't be reached
}

func (d *doctor) ok(name, what string, args ...any) {
	d.findings = append(d.findings, finding{well, name, fmt.Sprintf(what, args...), ""})
}

func (d *doctor) warn(name, advice, what string, args ...any) {
	d.findings = append(d.findings, finding{wary, name, fmt.Sprintf(what, args...), advice})
}

func (d *doctor) fail(name, advice, what string, args ...any) {
	d.findings = append(d.findings, finding{wrong, name, fmt.Sprintf(what, args...), advice})
}

// unreached notes a server that is not there.
func (d *doctor) unreached(name, server string, err error) {
	d.fail(name, "start it, or correct its address: boxoffice help environment", "%s can't be reached: %v", server, err)
	d.away = append(d.away, &unreachable{server, err})
}

func (c *cli) doctor() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Look at everything the service depends on",
		Long: `Checks Postgres (durability, schema, rights, sessions, clock, disk, old transactions), Kafka (topics, copies,
limits), the mail server, how far readers of the log are behind, and the configuration as it is seen from here.
It changes nothing. One line for each check: ok, warn or fail, what was found, and what to do. Exit 0 if nothing fails,
1 if something does, 5 if a server can't be reached.`,
		Example: `  boxoffice doctor
  boxoffice doctor --data .boxoffice
  boxoffice doctor --json | jq '.checks[] | select(.status != "ok")'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			tools, err := c.tools(cmd, config.NeedDatabase, config.NeedKafka)
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), doctorLimit)
			defer cancel()
			d := &doctor{tools: tools}
			c.checkConfiguration(cmd, d)
			if err := d.checkServers(ctx); err != nil {
				return err
			}
			if cmd.Context().Err() != nil {
				return cmd.Context().Err()
			}
			return c.tellFindings(d, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	c.toolFlags(cmd, "DATABASE_URL", "KAFKA_BROKERS")
	return cmd
}

// checkServers looks at Postgres and Kafka. One that is away is a finding, and no error.
func (d *doctor) checkServers(ctx context.Context) (err error) {
	db, err := openDatabase(ctx, d.tools.DatabaseURL)
	var gone *unreachable
	switch {
	case errors.As(err, &gone):
		d.unreached("postgres", gone.server, gone.cause)
	case err != nil:
		d.fail("postgres", advice(err), "%v", err)
	default:
		defer func() { err = errors.Join(err, db.Close()) }()
		d.checkPostgres(ctx, db)
	}
	kafka, err := d.tools.Kafka.Messaging("")
	if err != nil {
		return err
	}
	d.checkKafka(ctx, kafka)
	if db != nil && len(d.away) == 0 {
		d.checkReaders(ctx, db, kafka)
		d.checkPublished(ctx, db, kafka)
	}
	if db != nil {
		d.checkParked(ctx, db)
	}
	d.checkMail(ctx)
	return nil
}

func (c *cli) tellFindings(d *doctor, asJSON bool) error {
	failed := 0
	for _, f := range d.findings {
		if f.Status == wrong {
			failed++
		}
	}
	var err error
	if asJSON {
		encoder := json.NewEncoder(c.stdout)
		encoder.SetIndent("", "  ")
		err = encoder.Encode(struct {
			OK     bool      `json:"ok"`
			Checks []finding `json:"checks"`
		}{failed == 0, d.findings})
	} else {
		_, err = fmt.Fprint(c.stdout, findingsText(d.findings))
	}
	switch {
	case err != nil:
		return written(err)
	case len(d.away) > 0:
		return errors.Join(d.away...)
	case failed > 0:
		c.say("boxoffice doctor: %d checks failed", failed)
		return errUnwell
	}
	return nil
}

// findingsText is one line for each finding.
func findingsText(findings []finding) string {
	var b strings.Builder
	for _, f := range findings {
		fmt.Fprintf(&b, "%-4s %s: %s", f.Status, f.Name, oneLine(f.What))
		if f.Advice != "" {
			fmt.Fprintf(&b, "; %s", f.Advice)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func oneLine(text string) string {
	return printable(strings.Join(strings.Fields(text), " "))
}
