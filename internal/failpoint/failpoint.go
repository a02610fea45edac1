// Package failpoint names the points at which tests kill, delay or fail the program.
//
// Without the build tag failpoints, Hit does nothing and costs nothing. With it, the environment says
// what happens where:
//
//	FAILPOINTS="relay.after_publish=kill@3;writer.before_append=delay:50ms;gateway.charge=error@1"
//
// An action without @n acts at every hit, with @n at the n-th alone, counted from 1 in each process.
// A FAILPOINTS that can't be read panics at the first Hit: a test that kills nothing would pass.
package failpoint

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// ErrInjected is what Hit returns at a point that is told to fail.
var ErrInjected = errors.New("injected failure")

// The actions of a point.
const (
	actKill  = "kill"
	actDelay = "delay"
	actError = "error"
)

// points are the points that do something, by name.
type points map[string]*point

// point is what happens at one name.
type point struct {
	action string
	delay  time.Duration // of actDelay
	at     int64         // the hit at which it acts; 0: at every one
	hits   atomic.Int64
}

// parse reads the form of FAILPOINTS.
func parse(spec string) (points, error) {
	all := points{}
	for part := range strings.SplitSeq(spec, ";") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		name, what, ok := strings.Cut(part, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("failpoint %q is not of the form name=action", part)
		}
		p, err := parsePoint(what)
		if err != nil {
			return nil, fmt.Errorf("failpoint %s: %w", name, err)
		}
		all[name] = p
	}
	return all, nil
}

// parsePoint reads action[:argument][@n].
func parsePoint(what string) (*point, error) {
	what, nth, counted := strings.Cut(what, "@")
	action, argument, _ := strings.Cut(what, ":")
	p := &point{action: action}
	var err error
	if counted {
		if p.at, err = strconv.ParseInt(nth, 10, 64); err != nil || p.at < 1 {
			return nil, fmt.Errorf("%q is not a number of hits", nth)
		}
	}
	switch action {
	case actDelay:
		if p.delay, err = time.ParseDuration(argument); err != nil {
			return nil, fmt.Errorf("delay: %w", err)
		}
	case actKill, actError:
		if argument != "" {
			return nil, fmt.Errorf("%s takes no argument", action)
		}
	default:
		return nil, fmt.Errorf("unknown action %q", action)
	}
	return p, nil
}

// hit counts and acts. kill ends the process without a chance to clean up.
func (all points) hit(name string, kill func()) error {
	p := all[name]
	if p == nil {
		return nil
	}
	if n := p.hits.Add(1); p.at != 0 && n != p.at {
		return nil
	}
	switch p.action {
	case actKill:
		fmt.Fprintln(os.Stderr, "failpoint:", name, "kills the process")
		kill()
	case actDelay:
		time.Sleep(p.delay)
	case actError:
		return fmt.Errorf("failpoint %s: %w", name, ErrInjected)
	}
	return nil
}

// killSelf is kill -9. It returns only if the signal is late, so it waits for it.
func killSelf() {
	if err := syscall.Kill(os.Getpid(), syscall.SIGKILL); err != nil {
		panic(err)
	}
	select {}
}
