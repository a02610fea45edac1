package serve_test

import (
	"flag"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"boxoffice/cmd/internal/config"
	"boxoffice/internal/devstack"
	"boxoffice/projections"
)

var brokerKills = flag.Int("broker-kills", 2, "how often the broker is killed under load")

const (
	payingBuyers = 4
	buyersPause  = 20 * time.Millisecond // of a buyer between two orders
	catchUp      = 30 * time.Second      // after the broker is back, nobody may be behind for longer
	successors   = 3                     // consumers that are killed, one after the other
	takeOver     = time.Second           // most of them apply a message so soon after they were started
	noTakeOver   = 5 * time.Second       // half of a group's session: whoever takes longer waited for it
)

// The same test runs on the embedded broker and, with make test-kafka, on an Apache Kafka process.
func TestTheBrokerIsKilledUnderLoad(t *testing.T) {
	kafka := devstack.KillableKafka(t)
	o := openOn(t, devstack.Postgres(t).URL, kafka, longHold)
	p := o.start("one", config.AllRoles()...)
	p.createShow(1, 1_000_000)
	buyers := p.payingCrowd(payingBuyers)
	buyers.awaitMore(50)
	o.awaitReaders(o.head(), time.Now()) // all parts are at work
	for kill := range *brokerKills {
		if err := kafka.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		killed, before := time.Now(), buyers.count()
		<-time.After(*brokerAway) // this is the outage, not a way to wait for something
		if err := kafka.Process.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		back := time.Now()
		during, behind, head := buyers.count()-before, o.head()-o.relayed(), o.head()
		if behind < int64(during) {
			t.Errorf("the relay was only %d events behind after %d orders: was the broker away?", behind, during)
		}
		buyers.awaitMore(50)
		published, applied := o.awaitReaders(head, back)
		t.Logf("kill %d: the broker answered %s after the kill; %d orders meanwhile, relay %d events behind; all of them were published %s after its return, and applied %s after it",
			kill+1, back.Sub(killed).Round(time.Millisecond), during, behind, published.Round(time.Millisecond), applied.Round(time.Millisecond))
	}
	buyers.awaitMore(50)
	attempts := buyers.end()
	end := time.Now()
	o.awaitRestWithin(catchUp)
	t.Logf("%d orders in all, %d refused, slowest %s; lag 0 %s after the last order", len(attempts), refused(attempts), slowest(attempts),
		time.Since(end).Round(time.Millisecond))
	if n := refused(attempts); n != 0 {
		t.Errorf("%d times an order was refused because of the broker", n)
	}
	if n := p.settle(attempts); n != 0 {
		t.Errorf("%d orders got no answer at all", n)
	}
	paid, unpaid := p.countOrders("status=COMPLETED"), p.countOrders("status=CONFIRMED")
	if paid == 0 || unpaid == 0 || paid+unpaid != len(attempts) {
		t.Errorf("of %d orders %d are completed and %d confirmed", len(attempts), paid, unpaid)
	}
	report := o.audit()
	if report.Topics == nil || report.Topics.Messages != report.Events {
		t.Fatalf("not every event is in the topics: %+v of %d", report.Topics, report.Events)
	}
	t.Logf("%d completed, %d confirmed; %d events, each in its topic, first occurrences in order, %d repeats",
		paid, unpaid, report.Events, report.Topics.Repeats)
}

// payingCrowd is a crowd whose buyers take their time between two orders and pay every other one at once.
func (c client) payingCrowd(buyers int) *crowd {
	all := &crowd{client: c, stop: make(chan struct{})}
	for b := range buyers {
		all.buyers.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-all.stop:
					return
				case <-time.After(buyersPause):
				}
				customer := fmt.Sprintf("buyer-%d-%d", b, n)
				if !all.buy(customer) {
					return
				}
				if n%2 == 0 {
					all.pay(customer)
				}
			}
		})
	}
	return all
}

// pay pays the order that a customer was told of.
func (c *crowd) pay(customer string) {
	c.mu.Lock()
	i := slices.IndexFunc(c.attempts, func(a attempt) bool { return a.wish.customer == customer })
	id := c.attempts[i].orderID
	c.mu.Unlock()
	if a := c.webhook(id, "SUCCESS"); a.status != http.StatusOK {
		c.o.t.Errorf("payment of %s, order %s: %s", customer, id, a)
	}
}

// awaitReaders waits until the relay is past a position of the log, and then until all projections have applied
// what is in the topics by then. It returns how long after the broker was back that was.
func (o *office) awaitReaders(position int64, back time.Time) (published, applied time.Duration) {
	o.t.Helper()
	within(o.t, catchUp-time.Since(back), fmt.Sprintf("everything up to %d is published", position), func() string {
		if now := o.relayed(); now < position {
			return fmt.Sprint(now)
		}
		return ""
	})
	published = time.Since(back)
	for _, p := range projections.All() {
		definition := p.Definition()
		for _, b := range o.bounds(definition.Topic) {
			within(o.t, catchUp-time.Since(back), fmt.Sprintf("%s has applied %d of partition %d", definition.Name, b.Newest, b.Partition), func() string {
				if next := o.next(definition.Name, b); next < b.Newest {
					return fmt.Sprint(next)
				}
				return ""
			})
		}
	}
	return published, time.Since(back)
}

// A process that takes over the partitions of one that was killed has its INSTANCE_ID, so that its groups know
// it and nobody waits for the end of a session.
func TestAKilledConsumerHasASuccessorAtOnce(t *testing.T) {
	o := open(t, longHold)
	api := o.start("rest", config.API, config.Relay, config.Payments, config.Notifications)
	p := o.built()
	consumer := p.serve("projections-0", "projections")
	api.createShow(1, 1_000_000)
	buyers := api.payingCrowd(payingBuyers)
	buyers.awaitMore(50)
	eventually(t, "all projections apply messages", o.sinceThen(o.applied(), len(projections.All())))
	var took []time.Duration
	for range successors {
		consumer.kill()
		buyers.awaitMore(10) // and what a killed transaction had begun is over
		before := o.applied()
		begun := time.Now()
		consumer = p.serve("projections-0", "projections")
		eventually(t, "a successor applies a message", o.sinceThen(before, 1))
		first := time.Since(begun)
		eventually(t, "each projection does", o.sinceThen(before, len(projections.All())))
		took = append(took, first)
		t.Logf("killed under load: %s from the start of its successor's process to the first message it applied, %s until each projection had",
			first.Round(time.Millisecond), time.Since(begun).Round(time.Millisecond))
	}
	slices.Sort(took)
	if took[successors/2] > takeOver || took[successors-1] > noTakeOver {
		t.Errorf("successors took %s: a group's session is 10 s, a process should need %s", took, takeOver)
	}
	api.settle(buyers.end())
	o.awaitRest()
}

// applied is, per projection, how many messages of its topic it has applied.
func (o *office) applied() map[string]int64 {
	o.t.Helper()
	all := map[string]int64{}
	for _, p := range projections.All() {
		name := p.Definition().Name
		all[name] = o.number(`SELECT coalesce(sum(next_offset), 0) FROM checkpoints WHERE name = $1`, name)
	}
	return all
}

// sinceThen says that less than some projections have applied more than they had then; empty when they have.
func (o *office) sinceThen(then map[string]int64, some int) func() string {
	return func() string {
		n := 0
		now := o.applied()
		for name, before := range then {
			if now[name] > before {
				n++
			}
		}
		if n < some {
			return fmt.Sprintf("%v, before it was %v", now, then)
		}
		return ""
	}
}
