package notifications_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http/httptest"
	"strings"
	"testing"

	"boxoffice/domain"
	"boxoffice/internal/notifications"
	"boxoffice/internal/notifications/mailtest"
)

func TestMailURLs(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"smtp://mail":                         "",
		"smtp://mail:25":                      "",
		"smtp://user:secret-word@mail:587":    "",
		"smtps://user%40x:secret%2F@mail/":    "",
		"smtp://[::1]:2525":                   "",
		"http://mail":                         "is not a URL that begins with smtp:// or smtps://",
		"mail:25":                             "is not a URL that begins with smtp:// or smtps://",
		"smtp://":                             "is not a URL that begins with smtp:// or smtps://",
		"smtp://user:secret-word%@mail":       "is not a URL that begins with smtp:// or smtps://",
		"smtp://user@mail":                    "has a user without a password, or a password without a user",
		"smtp://:secret-word@mail":            "has a user without a password, or a password without a user",
		"smtp://mail/path":                    "has something behind the host and port, which means nothing here",
		"smtp://mail?tls=skip":                "has something behind the host and port, which means nothing here",
		"smtp://user:secret-word@mail:0":      "has a port that is not between 1 and 65535",
		"smtp://user:secret-word@mail:100000": "has a port that is not between 1 and 65535",
	} {
		err := notifications.CheckMailURL(url)
		if got := text(err); got != want {
			t.Errorf("%s: %q, want %q", url, got, want)
		}
		if err != nil && strings.Contains(err.Error(), "secret-word") {
			t.Errorf("%s: the password is told", url)
		}
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// certified is a TLS configuration of a server, and who trusts it. It is made out to example.com.
func certified(t *testing.T) (*tls.Config, *x509.CertPool) {
	t.Helper()
	s := httptest.NewTLSServer(nil)
	t.Cleanup(s.Close)
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	return &tls.Config{Certificates: s.TLS.Certificates, MinVersion: tls.VersionTLS12}, pool
}

func TestHowTheMailServerIsSpokenTo(t *testing.T) {
	t.Parallel()
	secure, trusted := certified(t)
	login := mailtest.User + ":" + mailtest.Password + "@"
	for _, c := range []struct {
		name   string
		server mailtest.Config
		url    string // HOST is the server on this machine, example.com the same by another name
		trust  *x509.CertPool
		fails  string
	}{
		{name: "plainly on this machine", url: "smtp://HOST"},
		{name: "with a login on this machine", server: mailtest.Config{Login: true}, url: "smtp://" + login + "HOST"},
		{name: "plainly where there is no TLS", url: "smtp://example.com:25"},
		{name: "with TLS where it is offered", server: mailtest.Config{TLS: secure}, url: "smtp://example.com:25", trust: trusted},
		{name: "with TLS of somebody unknown", server: mailtest.Config{TLS: secure}, url: "smtp://example.com:25", fails: "certificate"},
		{name: "with TLS and a login", server: mailtest.Config{TLS: secure, Login: true}, url: "smtp://" + login + "example.com", trust: trusted},
		{name: "a password without TLS", server: mailtest.Config{Login: true}, url: "smtp://" + login + "example.com", fails: "STARTTLS"},
		{name: "TLS from the first byte", server: mailtest.Config{TLS: secure, Implicit: true}, url: "smtps://example.com", trust: trusted},
		{name: "TLS from the first byte and a login", server: mailtest.Config{TLS: secure, Implicit: true, Login: true}, url: "smtps://" + login + "example.com", trust: trusted},
		{name: "TLS from the first byte of somebody unknown", server: mailtest.Config{TLS: secure, Implicit: true}, url: "smtps://example.com", fails: "certificate"},
		{name: "a wrong password", server: mailtest.Config{TLS: secure, Login: true}, url: "smtp://boxoffice:wrong-password@example.com", trust: trusted, fails: "Authentication failed"},
		{name: "no login where one is wanted", server: mailtest.Config{Login: true}, url: "smtp://HOST", fails: "502"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			server := mailtest.Start(t, c.server)
			s, err := notifications.NewMailSender(notifications.MailConfig{
				URL: strings.Replace(c.url, "HOST", server.Address(), 1), From: sender, Letters: w.letters(),
			})
			if err != nil {
				t.Fatal(err)
			}
			s.Reroute(func(ctx context.Context, network, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, network, server.Address())
			}, c.trust)
			o := w.place("ana@example.com", "Ana")
			o.confirm()
			news, err := notifications.Parse(o.is(domain.Confirmed))
			if err != nil {
				t.Fatal(err)
			}
			outcome, err := s.Send(t.Context(), news)
			if c.fails == "" {
				if err != nil || outcome.Result != notifications.Sent || len(server.Mails()) != 1 {
					t.Errorf("%+v, %v, %d mails", outcome, err, len(server.Mails()))
				}
				return
			}
			if !errors.Is(err, notifications.ErrUnavailable) || !strings.Contains(err.Error(), c.fails) || len(server.Mails()) != 0 {
				t.Errorf("%+v, %v, %d mails", outcome, err, len(server.Mails()))
			}
			if strings.Contains(err.Error(), "password@") || strings.Contains(err.Error(), "wrong-password") {
				t.Errorf("the password is told: %v", err)
			}
		})
	}
}
