package serve_test

import (
	"errors"
	"testing"
	"time"

	"boxoffice/cmd/internal/config"
	"boxoffice/cmd/internal/serve"
	"boxoffice/internal/devstack"
)

// A server whose host lives on while it hangs: connections are there, and neither queries nor their
// cancellations are answered.
func TestAProcessEndsInTimeThoughPostgresHangs(t *testing.T) {
	postgres := devstack.OwnPostgres(t, nil)
	o := openOn(t, postgres.URL, devstack.Kafka(t), longHold)
	p := o.start("one", config.AllRoles()...)
	p.createShow(1, 1_000_000)
	buyers := p.crowd(8)
	buyers.awaitMore(50)
	if err := postgres.Server.Freeze(); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	p.cancel()
	<-p.ended
	took := time.Since(begun)
	if err := postgres.Server.Thaw(); err != nil { // what was abandoned ends now, because this process does not
		t.Fatal(err)
	}
	t.Logf("ended after %s with: %v", took.Round(time.Millisecond), p.err)
	if !errors.Is(p.err, serve.ErrAbandoned) || took > stopLimit {
		t.Errorf("it ended after %s with %v", took, p.err)
	}
	p.err = nil // it is what was expected
	attempts := buyers.end()
	if n := o.start("two", config.AllRoles()...).settle(attempts); n > 8 {
		t.Errorf("%d orders of 8 buyers without an answer", n)
	}
	o.awaitRest()
}
