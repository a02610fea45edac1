package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/spf13/cobra"

	"boxoffice/cmd/internal/config"
	"boxoffice/eventstore"
	"boxoffice/internal/messaging"
)

// relayAgainLock is the advisory lock of whoever publishes the log again ("boxorwd"). The relays' own is another.
const relayAgainLock = int64(0x626f786f727764)

// again is one publishing of the log again, as the command line asks for it.
type again struct {
	*cli
	from int64
	yes  bool
	json bool

	db    *sqlx.DB
	store *eventstore.Store
	kafka messaging.Config
	to    int64 // head of the log when it began
}

func (c *cli) relay() *cobra.Command {
	a := again{cli: c}
	cmd := &cobra.Command{
		Use:   "relay --from POSITION",
		Short: "Publish the log to Kafka again, from a position on",
		Long: `Sets the relay back, so that all events from this position on are published again with the same ids and headers,
and publishes them itself unless a running service does. Topics that are missing are made. It ends when all that
was in the log when it began is published; interrupted, a running service goes on, or the next one that starts.

It is for topics that were lost or made anew (--from 1, with which read models read the topics from the beginning)
and for readers that missed something. Readers see repeats and pass over them: nobody is charged and no mail is sent
again. What nobody had read in commands-topic was lost with its broker: only its clients can send that again.`,
		Example: `  boxoffice relay --from 1
  boxoffice relay --from 120000 --yes --json
  KAFKA_TOPIC_PREFIX=second- boxoffice relay --from 1 --yes`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			switch {
			case !cmd.Flags().Changed("from"):
				return c.misused("say from which position on: --from 1 is all of the log")
			case a.from < 1:
				return c.misused("--from is %d, and positions begin with 1", a.from)
			case !a.yes && (!c.asks || a.json):
				return c.misused("it asks before it publishes, and here nobody can be asked: say --yes")
			}
			tools, err := c.tools(cmd, config.NeedDatabase, config.NeedKafka)
			if err != nil {
				return err
			}
			if a.kafka, err = tools.Kafka.Messaging(""); err != nil {
				return err
			}
			if a.db, err = openDatabase(cmd.Context(), tools.DatabaseURL); err != nil {
				return err
			}
			defer func() { err = errors.Join(err, a.db.Close()) }()
			a.store = eventstore.New(a.db, eventstore.Config{})
			return a.run(cmd.Context())
		},
	}
	cmd.Flags().Int64Var(&a.from, "from", 0, "the first position that is published again; 1 is all of the log")
	cmd.Flags().BoolVar(&a.yes, "yes", false, "do it without asking; needed where nobody can be asked, and with --json")
	cmd.Flags().BoolVar(&a.json, "json", false, "say as JSON what was done, and on stderr one object a second that says how far it is")
	c.toolFlags(cmd, "DATABASE_URL", "KAFKA_BROKERS")
	return cmd
}

// relayed is what was done, as --json prints it.
type relayed struct {
	From     int64   `json:"from"`
	To       int64   `json:"to"`
	Events   int64   `json:"events"`
	Seconds  float64 `json:"seconds"`
	Restarts int     `json:"restarts"` // partitions that read models read from the beginning
}

func (a *again) run(ctx context.Context) (err error) {
	session, err := lockSession(ctx, a.db, lock{relayAgainLock, "boxoffice relay", "publishes the log again"}, a.hostname)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, session.Close()) }()
	if err := a.plan(ctx); errors.Is(err, errDeclined) {
		a.say("boxoffice relay: %v", errDeclined)
		return nil
	} else if err != nil {
		return err
	}
	before, err := everIn(ctx, a.kafka)
	if err != nil {
		return err
	}
	begun := time.Now()
	back, err := a.store.Rewind(ctx, a.from)
	if err != nil {
		return err
	}
	if err := a.publish(ctx); err != nil {
		return err
	}
	did := relayed{a.from, a.to, a.to - a.from + 1, time.Since(begun).Seconds(), back.Restarts}
	if err := a.arrived(ctx, before, did.Events); err != nil {
		return err
	}
	if a.json {
		return written(json.NewEncoder(a.stdout).Encode(did))
	}
	_, err = fmt.Fprintf(a.stdout, "Published %d events again, positions %d to %d, in %.1f s.\n", did.Events, did.From, did.To, did.Seconds)
	return written(err)
}

// plan looks whether it can be done, and asks.
func (a *again) plan(ctx context.Context) error {
	progress, err := a.store.Progress(ctx)
	if err != nil {
		return err
	}
	a.to = progress.Head
	if a.from > progress.Relayed+1 {
		return a.misused("--from is %d, and the relay has published up to position %d of %d: it is at most %d, or events would be passed over",
			a.from, progress.Relayed, progress.Head, progress.Relayed+1)
	}
	if err := a.prepareTopics(ctx); err != nil {
		return err
	}
	there, err := everIn(ctx, a.kafka)
	switch {
	case err != nil:
		return err
	case there == 0 && a.from > 1:
		return a.misused("the topics are empty: --from %d would leave out what comes before, --from 1 fills them", a.from)
	case there > 0 && there < progress.Relayed:
		a.say("Warning: the topics have had %d messages of %d events published: they were made anew, and a relay has gone on into them.\n"+
			"What it has written there comes before what was earlier; verify --kafka will say so. Empty topics have all in order.", there, progress.Relayed)
	}
	if a.yes {
		return nil
	}
	a.say("The log has %d events, and the relay has published up to position %d.", progress.Head, progress.Relayed)
	a.say("%d events, positions %d to %d, will be published again to %s at %s. Readers see repeats and pass over them.",
		a.to-a.from+1, a.from, a.to, strings.Join(messaging.EventTopics(), ", "), strings.Join(a.kafka.Brokers, ","))
	if a.from == 1 {
		a.say("The read models read their topics from the beginning, which takes them a while.")
	}
	return a.confirm(ctx, "Go on?")
}

// prepareTopics makes topics that are missing, and refuses those that have another history than the log.
func (a *again) prepareTopics(ctx context.Context) error {
	gauge, err := messaging.OpenGauge(a.kafka)
	if err != nil {
		return &unreachable{"Kafka at " + strings.Join(a.kafka.Brokers, ","), err}
	}
	if err := gauge.Close(); err != nil {
		return err
	}
	if err := messaging.EnsureTopics(ctx, a.kafka, messaging.Topics()...); err != nil {
		return err
	}
	stranger, err := strangerIn(ctx, a.store, a.kafka)
	if err == nil && stranger != "" {
		err = fmt.Errorf("%s: the log was set back, or the topics are another log's. Publish to new topics, with another KAFKA_TOPIC_PREFIX", stranger)
	}
	return err
}
