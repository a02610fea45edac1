package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"boxoffice/internal/messaging"
	"boxoffice/projections"
)

// asideOutcome is what became of one thing, as --json prints it.
type asideOutcome struct {
	ID      string `json:"id"`
	Outcome string `json:"outcome"`
	Detail  string `json:"detail"`
}

// The outcomes.
const (
	wentOn    = "retried"   // it is done, or on its way again
	staysPut  = "stays"     // it can't be gone on with
	handled   = "handled"   // it was sent again or discarded before
	notThere  = "unknown"   // nothing stands aside under the ID: it went on before, or there never was such a thing
	discarded = "discarded" // given up
)

func (c *cli) dlqRetry() *cobra.Command {
	var all, onlyParked, asJSON bool
	var newest int64
	cmd := &cobra.Command{
		Use:   "retry ID… | --all",
		Short: "Go on with parked streams from the log, and send dead letters again",
		Long: `A parked stream is folded from the log by this program, from the event that stopped it; if that fails again
it stays parked, with the new reason. A dead letter's message is sent to the topic it came from again, as it was.
It prints what became of each; exit 1 if anything stays aside, or does not stand aside any more,
exit 4 while somebody else retries or discards.`,
		Example: `  boxoffice dlq retry parked/order_status/order-ORDER-20250205-338aa78d
  boxoffice dlq retry dead/3/17 dead/3/18
  boxoffice dlq retry --all --parked`,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if all == (len(args) > 0) || onlyParked && !all {
				return c.misused("give IDs or --all (which --parked narrows)")
			}
			if newest < 1 || newest > maxNewest {
				return c.misused("--newest must be 1 to %d", maxNewest)
			}
			ids, err := c.parseAsides(args)
			if err != nil {
				return err
			}
			letters := all && !onlyParked
			for _, id := range ids {
				letters = letters || id.dead
			}
			d, err := c.openDepot(cmd, letters)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, d.close()) }()
			if err := d.lock(cmd.Context(), c.hostname); err != nil {
				return err
			}
			r := retries{cli: c, depot: d, json: asJSON}
			defer func() { err = errors.Join(err, r.close()) }()
			if all {
				return r.all(cmd.Context(), letters, newest)
			}
			return r.each(cmd.Context(), ids)
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "everything that dlq list lists")
	cmd.Flags().BoolVar(&onlyParked, "parked", false, "with --all: only parked streams, without asking Kafka")
	cmd.Flags().Int64Var(&newest, "newest", defaultNewest, "with --all: dead letters of each partition that are looked at")
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object for each")
	c.toolFlags(cmd, "DATABASE_URL", "KAFKA_BROKERS")
	return cmd
}

// retries tries one thing after the other.
type retries struct {
	*cli
	depot     *depot
	json      bool
	publisher *messaging.Publisher // opened for the first letter
	stay      int
	gone      int // of which nothing stands aside
}

func (r *retries) close() error {
	if r.publisher == nil {
		return nil
	}
	return r.publisher.Close()
}

func (r *retries) all(ctx context.Context, letters bool, newest int64) error {
	for after := (projections.Parked{}); ; {
		page, err := projections.ParkedAfter(ctx, r.depot.db, after, maxPage)
		if err != nil {
			return err
		}
		for _, p := range page {
			after = p
			if err := r.one(ctx, aside{projection: p.Projection, stream: p.Stream}); err != nil {
				return err
			}
		}
		if len(page) < maxPage {
			break
		}
	}
	if letters {
		views, err := r.depot.letters(ctx, newest)
		if err != nil {
			return err
		}
		for _, v := range views {
			id, err := parseAside(v.ID)
			if err == nil {
				err = r.one(ctx, id)
			}
			if err != nil {
				return err
			}
		}
	}
	return r.result()
}

func (r *retries) each(ctx context.Context, ids []aside) error {
	for _, id := range ids {
		if err := r.one(ctx, id); err != nil {
			return err
		}
	}
	return r.result()
}

func (r *retries) result() error {
	switch {
	case r.stay > 0 && r.gone > 0:
		return fmt.Errorf("%d stay aside, %d were handled before or are not known", r.stay, r.gone)
	case r.stay > 0:
		return fmt.Errorf("%d stay aside", r.stay)
	case r.gone > 0:
		return fmt.Errorf("%d were handled before or are not known", r.gone)
	}
	return nil
}

// one tries one thing and tells what became of it. Errors: faults of the servers; whatever the thing itself is
// to blame for does not stop the others.
func (r *retries) one(ctx context.Context, id aside) error {
	try := r.goOn
	if id.dead {
		try = r.resend
	}
	what := wentOn
	detail, err := try(ctx, id)
	_, stays := errors.AsType[staysError](err)
	switch {
	case stays || errors.Is(err, messaging.ErrNotRetryable):
		r.stay++
		what, detail, err = staysPut, err.Error(), nil
	case errors.Is(err, errHandled):
		r.gone++
		what, detail, err = handled, "was sent again or discarded before", nil
	case errors.Is(err, errUnknown):
		r.gone++
		what, detail, err = notThere, errUnknown.Error(), nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w", id, err)
	}
	return r.tellOutcome(asideOutcome{id.String(), what, detail}, r.json)
}

// staysError says why something can't be gone on with.
type staysError string

func (s staysError) Error() string { return string(s) }

func (r *retries) goOn(ctx context.Context, id aside) (string, error) {
	p, err := projectionNamed(id.projection)
	if err != nil {
		return "", staysError(err.Error())
	}
	still, err := projections.Retry(ctx, p, r.depot.db, r.depot.store, id.stream)
	switch {
	case errors.Is(err, projections.ErrNotParked):
		return "", fmt.Errorf("%s: %w", id, errUnknown)
	case err != nil:
		return "", err
	case still != nil:
		return "", staysError(fmt.Sprintf("still parked at version %d, %s: %s", still.Version, still.Type, still.Reason))
	}
	return "goes on from the log", nil
}

func (r *retries) resend(ctx context.Context, id aside) (string, error) {
	letter, err := r.depot.letter(ctx, id)
	if err != nil {
		return "", err
	}
	msg, err := letter.Original(ctx, r.depot.kafka)
	if err != nil {
		return "", err
	}
	if err := messaging.CheckSize(letter.Topic, msg); err != nil {
		return "", staysError(err.Error())
	}
	if r.publisher == nil {
		if r.publisher, err = messaging.Open(r.depot.kafka); err != nil {
			return "", err
		}
	}
	msg.SetContext(ctx)
	if err := r.publisher.Publish(letter.Topic, msg); err != nil {
		return "", err
	}
	return "sent to " + letter.Topic + " again", projections.LetterDone(ctx, r.depot.db, placeOf(letter), wentOn, "")
}

func (c *cli) tellOutcome(o asideOutcome, asJSON bool) error {
	if asJSON {
		return written(json.NewEncoder(c.stdout).Encode(o))
	}
	_, err := fmt.Fprintf(c.stdout, "%s  %s: %s\n", o.ID, o.Outcome, printable(o.Detail))
	return written(err)
}
