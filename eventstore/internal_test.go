package eventstore

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"
)

func TestWhichErrorsAreRefusals(t *testing.T) {
	for code, want := range map[string]bool{
		"22P02": true,  // not JSON
		"22021": true,  // not UTF-8
		"23505": true,  // the version exists
		"23514": true,  // a CHECK
		"42804": true,  // another type
		"54000": true,  // too large
		"08006": false, // connection failure
		"25006": false, // read-only after a failover
		"25P03": false, // idle in transaction
		"40001": false, // serialization failure
		"40P01": false, // deadlock
		"53100": false, // disk full
		"53300": false, // too many connections
		"55P03": false, // lock timeout
		"57014": false, // canceled, by statement_timeout or a context
		"57P01": false, // shut down by the administrator
		"57P02": false, // crashed
		"58030": false, // I/O error
		"XX000": false, // internal error
	} {
		t.Run(code, func(t *testing.T) {
			if got := refused(fmt.Errorf("append: %w", &pq.Error{Code: pqerror.Code(code)})); got != want {
				t.Errorf("refused is %v", got)
			}
		})
	}
	for _, err := range []error{driver.ErrBadConn, io.EOF, context.Canceled, context.DeadlineExceeded, &net.OpError{Op: "read", Err: errors.New("reset")}} {
		t.Run(fmt.Sprintf("%T %v", err, err), func(t *testing.T) {
			if refused(err) {
				t.Error("taken for a refusal")
			}
		})
	}
}

func TestTheClockLearns(t *testing.T) {
	const hour = time.Hour
	t.Run("an offset far off is learned at once", func(t *testing.T) {
		c := newClock()
		c.learn(hour, hour+time.Millisecond, c.start.Add(3*hour))
		if want := 2*hour - time.Millisecond; c.offset != want {
			t.Errorf("offset is %s, want %s", c.offset, want)
		}
	})
	t.Run("a slow answer does not spoil what a quick one taught", func(t *testing.T) {
		c := newClock()
		c.learn(hour, hour+time.Microsecond, c.start.Add(2*hour))
		was := c.offset
		c.learn(2*hour, 2*hour+time.Minute, c.start.Add(3*hour+30*time.Second))
		if c.offset != was {
			t.Errorf("offset was %s and is %s", was, c.offset)
		}
	})
	t.Run("a later answer corrects a drift as far as it proves it", func(t *testing.T) {
		c := newClock()
		c.learn(hour, hour, c.start.Add(2*hour))
		c.learn(2*hour, 2*hour+time.Millisecond, c.start.Add(3*hour-time.Second))
		if want := hour - time.Second; c.offset != want {
			t.Errorf("offset is %s, want %s", c.offset, want)
		}
	})
	t.Run("the time stands still rather than run backwards", func(t *testing.T) {
		c := newClock()
		c.learn(0, 0, c.start.Add(hour))
		ahead := c.now()
		c.learn(0, 0, c.start)
		if now := c.now(); !now.Equal(ahead) {
			t.Errorf("%s after %s", now, ahead)
		}
	})
}

func TestEveryFormOfTheAppendHasItsParameters(t *testing.T) {
	number := regexp.MustCompile(`\$(\d+)`)
	for kind := range appendKinds {
		p := &pending{kind: kind, args: make([]any, 5)}
		New(nil, Config{}).encode(p, &Batch{})
		most := 0
		for _, found := range number.FindAllStringSubmatch(kind.sql(), -1) {
			n, err := strconv.Atoi(found[1])
			if err != nil {
				t.Fatal(err)
			}
			most = max(most, n)
		}
		if len(p.args) != most {
			t.Errorf("kind %d has %d parameters, its text %d", kind, len(p.args), most)
		}
	}
}

func TestAURLThatIsNoneIsAnError(t *testing.T) {
	if _, err := OpenDB("postgres://host/db?sslmode=perhaps", 1); err == nil {
		t.Error("opened")
	}
}
