package main

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"boxoffice/cmd/internal/config"
	"boxoffice/internal/notifications/mailtest"
)

func TestDoctorLooksAtTheMailServer(t *testing.T) {
	t.Parallel()
	server := mailtest.Start(t, mailtest.Config{})
	address, err := url.Parse(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		mail config.URL
		want string
		away int
	}{
		"there is none":           {"", "ok   mail: SMTP_URL is not set here", 0},
		"it answers":              {config.URL(server.URL()), "ok   mail: the server at " + address.Host + " takes mails", 0},
		"it is not there":         {config.URL("smtp://user:secret-word@" + closedAddress(t)), "fail mail: the mail server at 127.0.0.1:", 1},
		"it takes no such login":  {config.URL("smtp://user:secret-word@" + address.Host), "fail mail: the mail server at " + address.Host, 1},
		"its address can't be so": {"http://secret-word@mail", "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			d := &doctor{mail: c.mail}
			d.checkMail(t.Context())
			said := findingsText(d.findings)
			if !strings.HasPrefix(said, c.want) || (c.want == "") != (said == "") || len(d.away) != c.away || strings.Contains(said, "secret-word") {
				t.Errorf("%d away; it says %s", len(d.away), said)
			}
		})
	}
}

func TestDoctorDoesNotTakeUnknownForNone(t *testing.T) {
	t.Parallel()
	for waiting, want := range map[int64]status{-1: wary, 0: well, 3: wary} {
		d := &doctor{}
		if d.checkLetters(waiting); len(d.findings) != 1 || d.findings[0].Status != want {
			t.Errorf("of %d dead letters it says %+v", waiting, d.findings)
		}
	}
}

func TestDoctorKnowsWhatIsOnThisMachine(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{
		"postgres://u@localhost/x": true, "postgres://u@127.0.0.1:5432/x": true, "postgres://u@[::1]/x": true,
		"postgres:///x?host=/run/postgresql": true, "postgres:///x?host=db.example.com": false, "postgres://u@db/x": false,
		"tcp://kafka:9092": false, "tcp://127.0.0.1:9092": true,
	} {
		if got := isLocal(address); got != want {
			t.Errorf("%s is taken for local: %t", address, got)
		}
	}
}

func TestDoctorAsksForTheProxyInFront(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		environ []string
		warns   bool
	}{
		"https without its proxy": {[]string{"PUBLIC_URL=https://tickets.example.com"}, true},
		"https with it":           {[]string{"PUBLIC_URL=https://tickets.example.com", "TRUSTED_PROXIES=10.0.0.0/8"}, false},
		"https without a limit":   {[]string{"PUBLIC_URL=https://tickets.example.com", "RATE_LIMIT=0"}, false},
		"plain http":              {[]string{"PUBLIC_URL=http://localhost:8080"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, around := &doctor{}, &cli{surroundings: surroundings{environ: c.environ}}
			around.checkConfiguration(around.doctor(), d)
			warned := slices.ContainsFunc(d.findings, func(f finding) bool { return strings.Contains(f.Advice, "TRUSTED_PROXIES") })
			if warned != c.warns {
				t.Errorf("it says %s", findingsText(d.findings))
			}
		})
	}
}
