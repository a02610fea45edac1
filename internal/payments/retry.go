package payments

import (
	"context"
	"errors"
	"time"
)

// Retry says how often something is tried, and how long the pauses are: First, doubled each time, up to Most.
type Retry struct {
	Attempts int
	First    time.Duration
	Most     time.Duration
}

func (r Retry) or(d Retry) Retry {
	if r == (Retry{}) {
		return d
	}
	return r
}

// pause is how long to wait after so many tries, 1, 2, 3 …
func (r Retry) pause(tries int) time.Duration {
	pause := r.First
	for n := 1; n < tries && pause < r.Most; n++ {
		pause *= 2
	}
	return min(pause, r.Most)
}

// do tries until it is done, refused for good, tried often enough, or the context ends. It returns the last error.
func (r Retry) do(ctx context.Context, try func() error) error {
	for n := 1; ; n++ {
		err := try()
		switch {
		case err == nil, errors.Is(err, ErrPermanent), n >= r.Attempts:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		}
		timer := time.NewTimer(r.pause(n))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}
