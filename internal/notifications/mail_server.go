package notifications

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"
)

const mailTimeout = 10 * time.Second // to connect and greet, and again for one mail

// Ports of mail servers that are not named.
const (
	relayPort      = 25  // servers that take mails without a login
	submissionPort = 587 // servers that want one
	implicitPort   = 465 // TLS from the first byte
)

// mailServer says how a mail server is reached.
type mailServer struct {
	host           string
	port           int
	user, password string // empty: no login
	implicit       bool   // TLS from the first byte
}

// CheckMailURL judges the URL of a mail server: smtp:// speaks TLS where the server offers it, and insists on it
// where there is a password to be sent to another machine; smtps:// speaks TLS from the first byte. What it says
// of a wrong one never holds the password.
func CheckMailURL(text string) error {
	_, err := parseMailURL(text)
	return err
}

func parseMailURL(text string) (mailServer, error) {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.Scheme != "smtp" && u.Scheme != "smtps" {
		return mailServer{}, errors.New("is not a URL that begins with smtp:// or smtps://") // err would show the password
	}
	if strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return mailServer{}, errors.New("has something behind the host and port, which means nothing here")
	}
	s := mailServer{host: u.Hostname(), implicit: u.Scheme == "smtps", user: u.User.Username()}
	s.password, _ = u.User.Password()
	if (s.user == "") != (s.password == "") {
		return mailServer{}, errors.New("has a user without a password, or a password without a user")
	}
	switch {
	case u.Port() != "":
		if s.port, err = strconv.Atoi(u.Port()); err != nil || s.port < 1 || s.port > 65535 {
			return mailServer{}, errors.New("has a port that is not between 1 and 65535")
		}
	case s.implicit:
		s.port = implicitPort
	case s.user != "":
		s.port = submissionPort
	default:
		s.port = relayPort
	}
	return s, nil
}

// policy says when STARTTLS is used. On this machine it is not: nobody listens on the way, and the certificates
// of local relays are made for other names.
func (s mailServer) policy() gomail.TLSPolicy {
	ip := net.ParseIP(s.host)
	switch {
	case s.implicit, s.host == "localhost", ip != nil && ip.IsLoopback():
		return gomail.NoTLS
	case s.user != "":
		return gomail.TLSMandatory
	default:
		return gomail.TLSOpportunistic
	}
}

// connection is one conversation with the mail server, for one mail.
type connection struct {
	client *gomail.Client
	smtp   *smtp.Client
	wire   net.Conn
	stop   func() bool
}

// connect opens a conversation that ends with ctx. The client is made anew because it is not safe for many at a
// time, and it is given the wire because it leaves one open that greets wrongly. Errors: ErrUnavailable.
func (s *MailSender) connect(ctx context.Context) (*connection, error) {
	c := &connection{}
	secure := &tls.Config{ServerName: s.server.host, RootCAs: s.roots, MinVersion: tls.VersionTLS12}
	options := []gomail.Option{
		gomail.WithPort(s.server.port), gomail.WithTimeout(mailTimeout), gomail.WithTLSConfig(secure),
		gomail.WithTLSPolicy(s.server.policy()), gomail.WithoutNoop(), gomail.WithoutRset(),
		gomail.WithDialContextFunc(func(dialing context.Context, network, address string) (net.Conn, error) {
			wire, err := s.dial(dialing, network, address)
			if err != nil {
				return nil, err
			}
			c.wire = wire
			c.stop = context.AfterFunc(ctx, func() { _ = wire.Close() })
			if !s.server.implicit {
				return wire, nil
			}
			encrypted := tls.Client(wire, secure)
			return encrypted, encrypted.HandshakeContext(dialing)
		}),
	}
	if s.server.user != "" {
		// PLAIN and LOGIN refuse by themselves to send a password unencrypted to another machine.
		options = append(options, gomail.WithUsername(s.server.user), gomail.WithPassword(s.server.password),
			gomail.WithOpportunisticSMTPAuth(gomail.SMTPAuthSCRAMSHA256, gomail.SMTPAuthSCRAMSHA1, gomail.SMTPAuthPlain,
				gomail.SMTPAuthLogin, gomail.SMTPAuthCramMD5))
	}
	var err error
	if c.client, err = gomail.NewClient(s.server.host, options...); err != nil {
		return nil, fmt.Errorf("%w: mail client: %w", ErrUnavailable, err)
	}
	if c.smtp, err = c.client.DialToSMTPClientWithContext(ctx); err != nil {
		c.end()
		return nil, fmt.Errorf("%w: connect to the mail server: %w", ErrUnavailable, err)
	}
	return c, nil
}

// end says goodbye, if there is anybody, and hangs up. A server that does not answer that has taken the mail all
// the same.
func (c *connection) end() {
	if c.smtp != nil {
		_ = c.client.CloseWithSMTPClient(c.smtp)
	}
	if c.wire != nil {
		c.stop()
		_ = c.wire.Close()
	}
}
