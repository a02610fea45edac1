package serve_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"boxoffice/cmd/internal/config"
	"boxoffice/domain"
	"boxoffice/eventstore"
	"boxoffice/internal/devstack"
)

// twoRoles is an empty database with one role that owns it and another for the service.
func twoRoles(t *testing.T) (o *office, service string) {
	t.Helper()
	empty := devstack.Postgres(t).Empty(t)
	_, url := empty.Role(t)
	return openOn(t, empty.URL, devstack.Kafka(t), longHold), url
}

func TestAServiceThatMayOnlyAddToTheLog(t *testing.T) {
	t.Parallel()
	o, url := twoRoles(t)
	p := o.built()
	p.environ = append(p.environ, "DATABASE_URL="+url)
	s := p.serve("all", config.AllRoles().String())
	s.says("the schema is not there yet: run boxoffice migrate")

	migrate := func(want int, args ...string) string {
		t.Helper()
		m := p.run("migrate", []string{"MIGRATE_DATABASE_URL=" + o.url}, append([]string{"migrate"}, args...)...)
		if code := m.ends(); code != want {
			t.Fatalf("migrate: exit %d: %s", code, m.said)
		}
		return m.said.String()
	}
	if said := migrate(0); !strings.Contains(said, "has the rights of the service") || strings.Contains(said, "Warning") {
		t.Errorf("migrate says %s", said)
	}
	s.listening()
	if said := s.said.String(); !strings.Contains(said, "this role may not change the schema, which is left to boxoffice migrate") {
		t.Errorf("it does not say why it does not migrate: %s", said)
	}
	s.createShow(1, 100)
	paid, failed, late := s.mustPlace(wish{customer: "ana"}), s.mustPlace(wish{customer: "bo"}), s.mustPlace(wish{customer: "cy"})
	s.await(paid, domain.Confirmed)
	s.await(late, domain.Confirmed)
	s.mustWebhook(paid, "SUCCESS")
	s.mustWebhook(failed, "FAILED")
	if a := s.asOperator("POST", "/orders/"+paid+"/cancel", map[string]any{}); a.status != http.StatusOK {
		t.Errorf("cancel with a refund: %s", a)
	}
	s.mustWebhook("PAY-20250101-00000001-1", "SUCCESS") // an open item
	buyers := s.crowd(4)
	buyers.awaitMore(5)
	migrate(0) // a running service goes on
	buyers.awaitMore(5)
	if n := refused(buyers.end()); n > 0 {
		t.Errorf("%d orders were refused beside a migration", n)
	}
	o.awaitRest()
	eventually(t, "the money is back", func() string {
		if n := len(eventsOf[domain.RefundCompleted](o)); n != 1 {
			return fmt.Sprintf("%d refunds", n)
		}
		return ""
	})
	o.awaitRest()
	o.audit()
	if v := p.run("verify", nil, "verify", "--kafka"); v.ends() != 0 {
		t.Errorf("verify as that role: %s", v.said)
	}

	db, err := eventstore.OpenDB(url, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	for _, statement := range []string{`UPDATE events SET type = type`, `DELETE FROM events`, `TRUNCATE events`, `DELETE FROM log_head`} {
		if _, err := db.ExecContext(t.Context(), statement); err == nil || !strings.Contains(err.Error(), "permission denied for table") {
			t.Errorf("%s: %v", statement, err)
		}
	}
	s.terminate()

	for what, c := range map[string]struct{ change, want string }{
		"an older schema":   {`ALTER TABLE open_items RENAME TO open_items_of_before`, "its schema is older and lacks table open_items; run boxoffice migrate"},
		"a right too few":   {`REVOKE INSERT ON events FROM PUBLIC, ` + roleOf(url), "this role lacks INSERT on events; run boxoffice migrate"},
		"an older log_head": {`ALTER TABLE log_head RENAME COLUMN hash TO digest`, "its schema is older and lacks column log_head.hash"},
	} {
		t.Run(what, func(t *testing.T) {
			if _, err := o.db.ExecContext(t.Context(), c.change); err != nil {
				t.Fatal(err)
			}
			again := p.serve("all", config.AllRoles().String())
			if code := again.ends(); code != 1 || !strings.Contains(again.said.String(), c.want) {
				t.Errorf("exit %d, it says %s", code, again.said)
			}
			for _, undo := range []string{
				`ALTER TABLE IF EXISTS open_items_of_before RENAME TO open_items`,
				`DO $$ BEGIN ALTER TABLE log_head RENAME COLUMN digest TO hash; EXCEPTION WHEN undefined_column THEN NULL; END $$`,
			} {
				if _, err := o.db.ExecContext(t.Context(), undo); err != nil {
					t.Fatal(err)
				}
			}
			migrate(0, "--grant-to", roleOf(url))
		})
	}
	p.serve("all", config.AllRoles().String()).listening().terminate()
}

// roleOf is the role in a database's URL.
func roleOf(url string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(url, "postgres://"), ":")
	return name
}
