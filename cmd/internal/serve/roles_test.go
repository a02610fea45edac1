package serve_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"boxoffice/cmd/internal/config"
	"boxoffice/domain"
	"boxoffice/internal/devstack"
)

func TestEveryRoleInAProcessOfItsOwn(t *testing.T) {
	postgres, kafka := devstack.OwnPostgres(t, nil), devstack.OwnKafka(t)
	if err := postgres.Server.Crash(); err != nil {
		t.Fatal(err)
	}
	if err := kafka.Server.CutOff(); err != nil {
		t.Fatal(err)
	}
	o := openOn(t, postgres.URL, kafka, longHold)
	p := o.built()

	// They start the wrong way round, before any server is there.
	roles := config.AllRoles()
	slices.Reverse(roles)
	processes := map[config.Role]*spawned{}
	for _, role := range roles {
		processes[role] = p.serve("the-"+string(role), string(role))
	}
	for _, role := range roles {
		processes[role].says("waiting for Postgres")
	}
	if err := postgres.Server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	api := processes[config.API].listening()
	api.createShow(1, 1000)
	first := api.mustPlace(wish{customer: "before Kafka"}) // no order waits for it
	for _, role := range []config.Role{config.Relay, config.Projections, config.Payments, config.Notifications} {
		if strings.Contains(processes[role].said.String(), "panic") {
			t.Errorf("%s: %s", role, processes[role].said.tail())
		}
	}
	if err := kafka.Server.Reconnect(); err != nil {
		t.Fatal(err)
	}
	buy := func(customer string) string {
		t.Helper()
		id := api.mustPlace(wish{customer: customer})
		within(t, startPatience, customer+"'s order is confirmed", func() string { return api.isAt(id, domain.Confirmed) })
		api.mustWebhook(id, "SUCCESS")
		within(t, startPatience, customer+"'s order is complete", func() string { return api.isAt(id, domain.Completed) })
		return id
	}
	within(t, startPatience, "the first order is confirmed", func() string { return api.isAt(first, domain.Confirmed) })
	ids := []string{buy("ana")}
	for _, role := range roles {
		begun := time.Now()
		processes[role].kill()
		processes[role] = p.serve("the-"+string(role), string(role))
		api = processes[config.API].listening()
		ids = append(ids, buy("after-"+string(role)))
		t.Logf("%s killed; an order was complete %s later", role, time.Since(begun).Round(time.Millisecond))
	}
	for _, id := range ids {
		if not := api.isAt(id, domain.Completed); not != "" {
			t.Errorf("%s: %s", id, not)
		}
	}
	api.awaitStock(1, 1, int64(len(ids)), 1000-1-int64(len(ids)))
	o.awaitRest()
	o.audit()
	for role, process := range processes {
		t.Logf("%s ended in %s", role, process.terminate().Round(time.Millisecond))
	}
}

// isAt says where an order is instead; empty when it has the status. The process may just have been started.
func (c client) isAt(orderID string, status domain.OrderStatus) string {
	a := c.asOperator("GET", "/orders/"+orderID, nil)
	if a.status == http.StatusOK && strings.Contains(string(a.body), fmt.Sprintf(`"status":%q,"showId"`, status)) {
		return ""
	}
	return a.String()
}

func TestEveryProcessSaysWhetherItIsReady(t *testing.T) {
	t.Parallel()
	o := open(t, longHold)
	p := o.built()
	for _, role := range config.AllRoles() {
		address := freeAddress(t)
		ready := func() int { return p.run("probe", []string{"METRICS_ADDR=" + address}, "ready").ends() }
		if code := ready(); code != 5 {
			t.Errorf("before it runs, ready exits with %d", code)
		}
		s := p.serve("the-"+string(role), string(role), "METRICS_ADDR="+address)
		within(t, startPatience, string(role)+" is ready", func() string {
			if code := ready(); code != 0 {
				return fmt.Sprint("exit ", code, s.said.tail())
			}
			return ""
		})
		s.url = "http://" + address
		if a := s.send("GET", "/livez", nil); a.status != http.StatusOK {
			t.Errorf("%s: /livez: %s", role, a)
		}
		if !strings.Contains(s.o.scrape(s.url), "go_goroutines") {
			t.Errorf("%s tells Prometheus nothing of itself", role)
		}
		s.terminate()
	}
}

// freeAddress is one on which nobody listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener := listen(t)
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}
