package serve

import (
	"log/slog"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill"
)

// quietEvery is how often the same complaint of Watermill is told. While Postgres is away its router says the
// same of every message, again and again.
const quietEvery = 10 * time.Second

// quiet is Watermill's log in ours, with each complaint at most once in quietEvery.
type quiet struct {
	watermill.LoggerAdapter
	said *complaints
}

// newQuiet makes one. What Watermill tells as information is of interest to those who debug it.
func newQuiet(log *slog.Logger) watermill.LoggerAdapter {
	return quiet{
		watermill.NewSlogLoggerWithLevelMapping(log, map[slog.Level]slog.Level{slog.LevelInfo: slog.LevelDebug}),
		&complaints{now: time.Now, last: map[string]complaint{}},
	}
}

// Error tells a complaint, unless the same one was told just now; the next one says how many were not.
func (q quiet) Error(msg string, err error, fields watermill.LogFields) {
	tell, untold := q.said.again(msg)
	if !tell {
		return
	}
	if untold > 0 {
		fields = fields.Add(watermill.LogFields{"untold": untold})
	}
	q.LoggerAdapter.Error(msg, err, fields)
}

// With keeps what was said: a router makes such a log for every message.
func (q quiet) With(fields watermill.LogFields) watermill.LoggerAdapter {
	return quiet{q.LoggerAdapter.With(fields), q.said}
}

// complaints are what was said and when, by their text.
type complaints struct {
	now  func() time.Time
	mu   sync.Mutex
	last map[string]complaint
}

type complaint struct {
	at     time.Time
	untold int // since then
}

func (c *complaints) again(msg string) (tell bool, untold int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	was, known := c.last[msg]
	if now := c.now(); !known || now.Sub(was.at) >= quietEvery {
		c.last[msg] = complaint{at: now}
		return true, was.untold
	}
	was.untold++
	c.last[msg] = was
	return false, 0
}
