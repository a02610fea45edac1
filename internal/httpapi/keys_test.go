package httpapi_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"boxoffice/internal/httpapi"
)

func TestOperatorKeys(t *testing.T) {
	t.Parallel()
	keys, err := httpapi.ParseOperatorKeys("ann:admin:key:with:colons-and-more, bob:door:0123456789abcdef\n\n")
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]httpapi.Operator{
		"key:with:colons-and-more": {Name: "ann", Role: httpapi.RoleAdmin},
		"0123456789abcdef":         {Name: "bob", Role: httpapi.RoleDoor},
		"0123456789abcdeF":         {},
		"0123456789abcdef ":        {},
		"":                         {},
	} {
		if got, ok := keys.Lookup(key); got != want || ok != (want.Name != "") {
			t.Errorf("%q is %+v, want %+v", key, got, want)
		}
	}
}

func TestAllBadKeysAreReportedWithoutTheKeys(t *testing.T) {
	t.Parallel()
	_, err := httpapi.ParseOperatorKeys("ann,bob:king:secret-secret-secret,cid:read:secret-short,:read:secret-secret-secret," +
		"dee:read:secret secret secret,eve:read:secret-of-two-people,fay:read:secret-of-two-people,eve:read:secret-secret-other")
	if err == nil {
		t.Fatal("they were taken")
	}
	for _, want := range []string{"entry 1:", "entry 2:", "entry 3:", "entry 4:", "entry 5:", "entry 7:", "entry 8:"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not speak of %s", err, want)
		}
	}
	if strings.Contains(err.Error(), "secret") {
		t.Errorf("%q tells a key", err)
	}
}

func TestKeysAreReadAgainWhenTheirFileChanges(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "keys")
		write := func(content string) {
			if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		write("old:admin:the-old-key-of-ann")
		keys, err := httpapi.ParseOperatorKeys("")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- keys.Watch(ctx, file, slog.New(slog.DiscardHandler)) }()
		knows := func(key string, want bool) {
			t.Helper()
			wait := time.NewTimer(5 * time.Second) // of the test's own clock; a revoked key is refused by then
			<-wait.C
			synctest.Wait()
			if _, ok := keys.Lookup(key); ok != want {
				t.Errorf("%s is known: %t, want %t", key, ok, want)
			}
		}
		knows("the-old-key-of-ann", true)
		write("new:admin:the-new-key-of-ann")
		knows("the-new-key-of-ann", true)
		knows("the-old-key-of-ann", false)
		for _, useless := range []string{"broken", "", "\n"} {
			write(useless)
			knows("the-new-key-of-ann", true)
		}
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		knows("the-new-key-of-ann", true)
		write("old:admin:the-old-key-of-ann")
		knows("the-old-key-of-ann", true)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestSecrets(t *testing.T) {
	t.Parallel()
	const first, second = "0123456789abcdef0123456789abcdef", "another-key-another-key-another-key"
	old, err := httpapi.ParseSecrets(first)
	if err != nil {
		t.Fatal(err)
	}
	rotated, err := httpapi.ParseSecrets(second + "," + first)
	if err != nil {
		t.Fatal(err)
	}
	token, code := old.OrderToken("ORDER-1"), old.TicketCode("ORDER-1")
	if len(token) != 43 || len(code) != 22 || strings.HasPrefix(token, code) {
		t.Errorf("got token %s and code %s", token, code)
	}
	if !rotated.CheckOrderToken("ORDER-1", token) || !rotated.CheckTicketCode("ORDER-1", code) {
		t.Error("what the old key made is not taken while rotating")
	}
	if rotated.OrderToken("ORDER-1") == token || old.CheckOrderToken("ORDER-1", rotated.OrderToken("ORDER-1")) {
		t.Error("the first key does not sign")
	}
	for _, wrong := range []string{"", "x", token[:42], token + "A", token[:42] + "=", "A" + token[1:], code, strings.ToUpper(token), " " + token} {
		if old.CheckOrderToken("ORDER-1", wrong) {
			t.Errorf("token %q is taken", wrong)
		}
	}
	if old.CheckOrderToken("ORDER-2", token) || old.CheckTicketCode("ORDER-1", token) {
		t.Error("a token is good for something else")
	}
	for _, bad := range []string{"", " , ", "short", first + ",short"} {
		if _, err := httpapi.ParseSecrets(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
