package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/jmoiron/sqlx"
	"github.com/spf13/cobra"

	"boxoffice"
	"boxoffice/cmd/internal/config"
	"boxoffice/eventstore"
	"boxoffice/projections"
	"boxoffice/projections/replay"
)

// replayLock is the advisory lock of whoever rebuilds read models ("boxorpl").
const replayLock = int64(0x626f786f72706c)

// allModels stands for every read model on the command line.
const allModels = "all"

const (
	gcPercent   = 400
	rowMemory   = 2_500     // bytes for a row that is held: 1,050 of its own, the rest until they are collected
	leastMemory = 256 << 20 // bytes, for few rows
)

// rebuild is one replay, as the command line asks for it.
type rebuild struct {
	*cli
	models  []projections.Projection
	dryRun  bool
	yes     bool
	json    bool
	maxRows int64
	telling *progress
}

func (c *cli) replay() *cobra.Command {
	r := rebuild{cli: c}
	cmd := &cobra.Command{
		Use:   "replay PROJECTION… | all",
		Short: "Build read models again from the log, and swap them",
		Long: `Builds read models from the log in new tables, beside those in use, while the service goes on; catches up with
it, compares row by row what is at the same version, prints what differs, and swaps the tables in one short
transaction for each read model. No query fails or sees a half-built table. It sends no mail, no charge and no
message. Whatever ends it, the tables in use stay whole, and the next replay clears up.

It asks before it swaps, or needs --yes, and works as the owner of the tables: MIGRATE_DATABASE_URL where that is
set, else DATABASE_URL. It takes at most about 2.5 kB of memory for each of --max-rows;
more rows are folded in several passes over the log. The disk needs room for the tables a second time.

Exit 0 also if rows differed and are repaired now; with --dry-run exit 3 if any differ.`,
		Example: `  boxoffice replay all --dry-run
  boxoffice replay order_status
  boxoffice replay all --yes --json | jq '.readModels[].tables'`,
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: completeModels,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if r.models, err = c.modelsNamed(args); err != nil {
				return err
			}
			if r.maxRows < 1 {
				return c.misused("--max-rows must be at least 1")
			}
			if !r.yes && !r.dryRun && (!c.asks || r.json) {
				return c.misused("it asks before it swaps, and here nobody can be asked: say --yes, or --dry-run to compare only")
			}
			tools, err := c.tools(cmd, config.NeedSchema)
			if err != nil {
				return err
			}
			db, err := openDatabase(cmd.Context(), cmp.Or(tools.MigrateDatabaseURL, tools.DatabaseURL))
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, db.Close()) }()
			return r.run(cmd.Context(), db)
		},
	}
	cmd.Flags().BoolVar(&r.dryRun, "dry-run", false, "build and compare, and leave everything as it is")
	cmd.Flags().BoolVar(&r.yes, "yes", false, "swap without asking; needed where nobody can be asked, and with --json")
	cmd.Flags().BoolVar(&r.json, "json", false, "the report as JSON, and on stderr one object a second that says how far it is")
	cmd.Flags().Int64Var(&r.maxRows, "max-rows", replay.DefaultMaxRows, "rows that are held in memory at once")
	c.toolFlags(cmd, "DATABASE_URL", "MIGRATE_DATABASE_URL")
	return cmd
}

// modelNames are the read models that this program has.
func modelNames() []string {
	var names []string
	for _, p := range projections.All() {
		names = append(names, p.Definition().Name)
	}
	return names
}

// modelsNamed are the read models of a command line, each once.
func (c *cli) modelsNamed(args []string) ([]projections.Projection, error) {
	if slices.Contains(args, allModels) {
		if len(args) > 1 {
			return nil, c.misused("%s stands for every read model: name no other beside it", allModels)
		}
		return projections.All(), nil
	}
	var found []projections.Projection
	for i, name := range args {
		p, err := projectionNamed(name)
		if err != nil {
			return nil, c.misused("%w; there are %s, and %s of them", err, strings.Join(modelNames(), ", "), allModels)
		}
		if !slices.Contains(args[:i], name) {
			found = append(found, p)
		}
	}
	return found, nil
}

// completeModels completes the names of read models that are not on the command line yet.
func completeModels(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	names := slices.DeleteFunc(modelNames(), func(name string) bool { return slices.Contains(args, name) })
	if len(args) == 0 {
		names = append(names, allModels)
	} else if slices.Contains(args, allModels) {
		names = nil
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// run builds, asks, swaps and reports.
func (r *rebuild) run(ctx context.Context, db *sqlx.DB) error {
	missing, _, err := eventstore.Missing(ctx, db, boxoffice.Schema())
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		return fmt.Errorf("the database has not this version's schema, it lacks %s; run boxoffice migrate first", missing[0])
	}
	// What a replay makes it keeps until it is done, so collecting garbage early gains nothing, up to a limit.
	debug.SetGCPercent(gcPercent)
	debug.SetMemoryLimit(max(leastMemory, r.maxRows*rowMemory))
	session, err := lockSession(ctx, db, lock{replayLock, "boxoffice replay", "rebuilds read models"}, r.hostname)
	if err != nil {
		return err
	}
	r.telling = r.newProgress(r.json)
	report, err := replay.Run(ctx, db, session, replay.Config{
		Projections: r.models, MaxRows: r.maxRows, DryRun: r.dryRun, Confirm: r.asking(),
		Progress: func(p replay.Progress) { r.telling.tell(step{string(p.Phase), p.Pass, p.Done, p.Total, p.Unit}) },
	})
	r.telling.end()
	if err != nil {
		return errors.Join(r.failed(ctx, report, err), session.Close())
	}
	return errors.Join(r.report(report), session.Close())
}

// asking is who is asked before anything is swapped; nil: nobody.
func (r *rebuild) asking() func(context.Context, replay.Report) (bool, error) {
	if r.yes || r.dryRun {
		return nil
	}
	return func(ctx context.Context, report replay.Report) (bool, error) {
		r.telling.rest()
		r.say("%s", strings.TrimSuffix(comparisonText(report), "\n"))
		err := r.confirm(ctx, "Swap "+counted(int64(len(report.ReadModels)), "read model")+"?")
		if errors.Is(err, errDeclined) {
			r.say("boxoffice replay: %v", errDeclined)
			return false, nil
		}
		return err == nil, err
	}
}

// failed says what a replay that did not come to its end has left, and what was found in what it has swapped: with
// the old tables that is gone.
func (r *rebuild) failed(ctx context.Context, report replay.Report, err error) error {
	var swapped []string
	for _, m := range report.ReadModels {
		if m.Swapped {
			swapped = append(swapped, m.Projection)
		}
	}
	if len(swapped) == 0 {
		r.say("The tables in use are untouched. The next replay clears up and begins again.")
	} else {
		if unwritten := r.report(report); unwritten != nil {
			r.say("%v", unwritten) // what ended the replay counts, also for a reader who has gone
		}
		r.say("Swapped are %s; all other tables in use are untouched. The next replay clears up and begins again.", strings.Join(swapped, ", "))
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%w: %w", ctx.Err(), err) // an interrupt, whatever it broke
	}
	return err
}
