package devstack

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
)

// Role makes a role that may connect to the test's database and owns nothing, and returns its name and the
// database's URL for it. It goes away with the test.
func (p *TestPostgres) Role(t testing.TB) (name, roleURL string) {
	t.Helper()
	u, err := url.Parse(p.URL)
	if err != nil {
		t.Fatalf("URL of the test database: %v", err)
	}
	name = p.Name + "_" + strings.ToLower(rand.Text()[:8]) // roles belong to the whole server
	password := rand.Text()
	if err := execute(t.Context(), p.Server, p.Name, fmt.Sprintf("CREATE ROLE %s LOGIN PASSWORD '%s'", name, password)); err != nil {
		t.Fatalf("create role %s: %v", name, err)
	}
	t.Cleanup(func() {
		if p.Server.Pid() == 0 {
			return // the server's files go with it
		}
		ctx := context.WithoutCancel(t.Context())
		if err := errors.Join(execute(ctx, p.Server, p.Name, "DROP OWNED BY "+name), execute(ctx, p.Server, p.Name, "DROP ROLE "+name)); err != nil {
			t.Errorf("drop role %s: %v", name, err)
		}
	})
	u.User = url.UserPassword(name, password)
	return name, u.String()
}

// Empty returns a new database of the test's server without the schema.
func (p *TestPostgres) Empty(t testing.TB) *TestPostgres {
	t.Helper()
	return copyDatabase(t, p.Server, "template0")
}
