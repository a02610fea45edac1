package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/jmoiron/sqlx"
	"github.com/spf13/cobra"

	"boxoffice/cmd/internal/config"
	"boxoffice/eventstore"
	"boxoffice/internal/messaging"
	"boxoffice/projections"
)

// defaultNewest is how many dead letters of each partition are looked at.
const defaultNewest = 1000

func (c *cli) dlq() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "dlq",
		Short: "Show, retry and discard what could not be processed",
		Long: `What can't be processed stands aside, so that all else goes on: a read model parks the stream of an event
that it can't fold, and messages that nobody can handle become dead letters. Each has an ID:
parked/PROJECTION/STREAM or dead/PARTITION/OFFSET.`,
		Example: `  boxoffice dlq list
  boxoffice dlq show parked/order_status/order-ORDER-20250205-338aa78d
  boxoffice dlq retry --all
  boxoffice dlq discard dead/3/17 --reason "test message of a partner"`,
		// The flags are those of its commands: with a mistyped one they are not what is wrong.
		FParseErrWhitelist: cobra.FParseErrWhitelist{UnknownFlags: true},
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return c.misused("there is no command %q: list, show, retry or discard", args[0])
			}
			return c.misused("say what to do: list, show, retry or discard")
		},
	}
	cmd.AddCommand(c.dlqList(), c.dlqShow(), c.dlqRetry(), c.dlqDiscard())
	return cmd
}

// misused is an error of the command line.
func (c *cli) misused(format string, args ...any) error {
	c.started = false
	return fmt.Errorf(format, args...)
}

// aside is the ID of something that could not be processed: a parked stream or, if dead, a dead letter.
type aside struct {
	projection, stream string
	dead               bool
	partition          int32
	offset             int64
}

func (a aside) String() string {
	if a.dead {
		return fmt.Sprintf("dead/%d/%d", a.partition, a.offset)
	}
	return "parked/" + a.projection + "/" + url.PathEscape(a.stream)
}

// parseAside reads what String wrote.
func parseAside(text string) (aside, error) {
	wrong := fmt.Errorf("%q is no ID: parked/PROJECTION/STREAM or dead/PARTITION/OFFSET", text)
	parts := strings.Split(text, "/")
	const all = 3
	if len(parts) != all {
		return aside{}, wrong
	}
	switch parts[0] {
	case "parked":
		stream, err := url.PathUnescape(parts[2])
		if err != nil || stream == "" || parts[1] == "" {
			return aside{}, wrong
		}
		return aside{projection: parts[1], stream: stream}, nil
	case "dead":
		partition, err := strconv.ParseInt(parts[1], 10, 32)
		offset, err2 := strconv.ParseInt(parts[2], 10, 64)
		if err != nil || err2 != nil || partition < 0 || offset < 0 {
			return aside{}, wrong
		}
		return aside{dead: true, partition: int32(partition), offset: offset}, nil
	default:
		return aside{}, wrong
	}
}

// parseAsides reads IDs; a wrong one is an error of the command line.
func (c *cli) parseAsides(texts []string) ([]aside, error) {
	ids := make([]aside, len(texts))
	for i, text := range texts {
		var err error
		if ids[i], err = parseAside(text); err != nil {
			return nil, c.misused("%w", err)
		}
	}
	return ids, nil
}

// depot is where things stand aside.
type depot struct {
	db    *sqlx.DB
	store *eventstore.Store
	kafka messaging.Config
	// locked is the session that holds the lock; nil: it was not asked for.
	locked *sqlx.Conn
}

// openDepot finds the servers; Kafka's address is asked for only where dead letters are meant.
func (c *cli) openDepot(cmd *cobra.Command, letters bool) (d *depot, err error) {
	needs := []config.Need{config.NeedDatabase}
	if letters {
		needs = append(needs, config.NeedKafka)
	}
	tools, err := c.tools(cmd, needs...)
	if err != nil {
		return nil, err
	}
	d = &depot{}
	if d.kafka, err = tools.Kafka.Messaging(""); err != nil {
		return nil, err
	}
	if d.db, err = openDatabase(cmd.Context(), tools.DatabaseURL); err != nil {
		return nil, err
	}
	d.store = eventstore.New(d.db, eventstore.Config{})
	return d, nil
}

func (d *depot) close() error {
	if d.locked == nil {
		return d.db.Close()
	}
	// The session ends with the pool, and the lock with the session.
	return errors.Join(d.locked.Close(), d.db.Close())
}

var (
	// errUnknown: nothing stands aside under an ID.
	errUnknown = errors.New("nothing stands aside under this ID")
	// errHandled: what stood aside was sent again or discarded. It is in the tree of errUnknown.
	errHandled = fmt.Errorf("was sent again or discarded before: %w", errUnknown)
)

// parked finds a parked stream. Errors: errUnknown.
func (d *depot) parked(ctx context.Context, id aside) (projections.Parked, error) {
	p, err := projections.FindParked(ctx, d.db, id.projection, id.stream)
	if errors.Is(err, projections.ErrNotParked) {
		return p, fmt.Errorf("%s: %w", id, errUnknown)
	}
	return p, err
}

// letter finds a dead letter that nobody has sent again or discarded. Errors: errUnknown, errHandled.
func (d *depot) letter(ctx context.Context, id aside) (messaging.DeadLetter, error) {
	l, err := messaging.ReadDeadLetter(ctx, d.kafka, id.partition, id.offset)
	if errors.Is(err, messaging.ErrNoMessage) {
		return l, fmt.Errorf("%s: %w", id, errUnknown)
	}
	if err != nil {
		return l, err
	}
	done, err := projections.LettersDone(ctx, d.db, []projections.Letter{placeOf(l)})
	if err == nil && done[placeOf(l)] {
		err = fmt.Errorf("%s %w", id, errHandled)
	}
	return l, err
}

func placeOf(l messaging.DeadLetter) projections.Letter {
	return projections.Letter{Partition: l.Partition, Offset: l.Offset, Digest: l.Digest()}
}

// projectionNamed is the read model of a name. Errors: one that this program does not have.
func projectionNamed(name string) (projections.Projection, error) {
	for _, p := range projections.All() {
		if p.Definition().Name == name {
			return p, nil
		}
	}
	return nil, fmt.Errorf("this program has no projection %q", name)
}
