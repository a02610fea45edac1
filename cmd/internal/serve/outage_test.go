package serve_test

import (
	"flag"
	"fmt"
	"testing"
	"time"

	"boxoffice/cmd/internal/config"
	"boxoffice/internal/devstack"
)

var (
	brokerAway   = flag.Duration("broker-away", 3*time.Second, "how long the broker is away under load")
	postgresAway = flag.Duration("postgres-away", 500*time.Millisecond, "how long Postgres is away under load")
)

func TestOrdersGoOnWhileTheBrokerIsAway(t *testing.T) {
	kafka := devstack.OwnKafka(t)
	o := openOn(t, devstack.Postgres(t).URL, kafka, longHold)
	p := o.start("one", config.AllRoles()...)
	p.createShow(1, 1_000_000)
	buyers := p.crowd(2)
	buyers.awaitMore(50)
	if err := kafka.Server.CutOff(); err != nil {
		t.Fatal(err)
	}
	before, behind := buyers.count(), o.head()-o.relayed()
	<-time.After(*brokerAway) // this is the outage, not a way to wait for something
	during, lag := buyers.count()-before, o.head()-o.relayed()
	if err := kafka.Server.Reconnect(); err != nil {
		t.Fatal(err)
	}
	back := time.Now()
	buyers.awaitMore(50)
	attempts := buyers.end()
	o.awaitRestWithin(patience + *brokerAway)
	t.Logf("broker away for %s: %d orders meanwhile, slowest %s; lag %d before, %d at the end, 0 after %s",
		*brokerAway, during, slowest(attempts), behind, lag, time.Since(back).Round(time.Millisecond))
	if n := refused(attempts); n != 0 {
		t.Errorf("%d times an order was refused because of the broker", n)
	}
	if least := int(*brokerAway / (100 * time.Millisecond)); during < least {
		t.Errorf("only %d orders while the broker was away", during)
	}
	if lag < int64(during) {
		t.Errorf("the relay was only %d events behind after %d orders: was the broker away?", lag, during)
	}
	p.settle(attempts)
	p.awaitStock(1, int64(len(attempts)), 0, 1_000_000-int64(len(attempts)))
}

func TestEveryAnsweredOrderIsThereAfterPostgresCrashed(t *testing.T) {
	postgres := devstack.OwnPostgres(t, nil)
	o := openOn(t, postgres.URL, devstack.Kafka(t), longHold)
	p := o.start("one", config.AllRoles()...)
	p.createShow(1, 1_000_000)
	hurried := p.client
	hurried.limit = *postgresAway / 2
	buyers := hurried.crowd(16)
	for range 2 {
		buyers.awaitMore(100)
		if err := postgres.Server.Crash(); err != nil {
			t.Fatal(err)
		}
		<-time.After(*postgresAway) // this is the outage, not a way to wait for something
		if err := postgres.Server.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		back, before := time.Now(), buyers.count()
		buyers.awaitMore(1)
		t.Logf("an order was answered %s after Postgres was back, %d before that", time.Since(back).Round(time.Millisecond), before)
	}
	buyers.awaitMore(100)
	attempts := buyers.end()
	t.Logf("%d orders; %d clear refusals, %d without an answer, all repeated; slowest %s",
		len(attempts), refused(attempts), lost(attempts), slowest(attempts))
	if n := p.settle(attempts); n != 0 {
		t.Errorf("%d orders got no answer at all", n)
	}
	o.awaitRest()
	if n := p.countOrders("status=CONFIRMED"); n != len(attempts) {
		t.Errorf("%d of %d orders are confirmed", n, len(attempts))
	}
}

func TestAStopUnderLoadLosesNoAnsweredOrder(t *testing.T) {
	o, p := running(t, longHold)
	p.createShow(1, 1_000_000)
	buyers := p.crowd(64)
	buyers.awaitMore(200)
	begun := time.Now()
	p.stop()
	took := time.Since(begun)
	buyers.buyers.Wait() // all went home
	attempts := buyers.end()
	again := o.start("one", config.AllRoles()...)
	repeated := again.settle(attempts)
	t.Logf("ended in %s after %d orders, %d refusals; %d had to ask again", took.Round(time.Millisecond),
		len(attempts)-repeated, refused(attempts), repeated)
	if repeated > 64 {
		t.Errorf("%d orders without an answer of 64 buyers", repeated)
	}
	o.awaitRest()
	if n := again.countOrders("status=CONFIRMED"); n != len(attempts) {
		t.Errorf("%d of %d orders are confirmed: %s", n, len(attempts), fmt.Sprint(attempts[0]))
	}
}
