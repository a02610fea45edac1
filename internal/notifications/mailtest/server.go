// Package mailtest is a mail server for tests: it keeps what it takes, and can be told to refuse, to hang and to go away.
package mailtest

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// The one login that the server knows.
const (
	User     = "boxoffice"
	Password = "a-password-of-the-tests"
)

// Config sets a Server up.
type Config struct {
	TLS      *tls.Config // offers STARTTLS, or speaks TLS from the first byte
	Implicit bool        // the latter
	Login    bool        // mails are taken only after a login
}

// Server is an SMTP server on a free port of this machine.
type Server struct {
	t       testing.TB
	cfg     Config
	address string

	mu     sync.Mutex
	server *smtp.Server
	serves chan struct{} // closed when it has ended
	mails  []Mail
	dialed int
	judge  func(to string) error // nil: everybody is welcome
	hang   chan struct{}         // not nil: nothing is answered until it closes
}

// Start starts a server that ends with the test.
func Start(t testing.TB, cfg Config) *Server {
	t.Helper()
	s := &Server{t: t, cfg: cfg, address: "127.0.0.1:0"}
	s.Up()
	t.Cleanup(func() {
		s.Hang(false)
		s.Down()
	})
	return s
}

// URL is the server's address for SMTP_URL, without a login.
func (s *Server) URL() string {
	if s.cfg.Implicit {
		return "smtps://" + s.address
	}
	return "smtp://" + s.address
}

// Address is host and port.
func (s *Server) Address() string { return s.address }

// Up lets the server listen, again at the same port.
func (s *Server) Up() {
	s.t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(s.t.Context(), "tcp", s.address)
	if err != nil {
		s.t.Fatalf("start the mail server: %v", err)
	}
	s.address = listener.Addr().String()
	server := smtp.NewServer(smtp.BackendFunc(s.session))
	server.Domain, server.TLSConfig, server.AllowInsecureAuth = "mail.test", s.cfg.TLS, true
	server.ReadTimeout, server.WriteTimeout = time.Minute, time.Minute
	server.EnableSMTPUTF8 = true
	server.ErrorLog = quiet{}
	if s.cfg.Implicit {
		listener = tls.NewListener(listener, s.cfg.TLS)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.server, s.serves = server, make(chan struct{})
	go func(ended chan struct{}) {
		defer close(ended)
		_ = server.Serve(listener) // it ends by Down
	}(s.serves)
}

// Down takes the server away: connections break and new ones are refused.
func (s *Server) Down() {
	s.mu.Lock()
	server, ended := s.server, s.serves
	s.server = nil
	s.mu.Unlock()
	if server == nil {
		return
	}
	if err := server.Close(); err != nil && !errors.Is(err, smtp.ErrServerClosed) {
		s.t.Logf("stop the mail server: %v", err)
	}
	<-ended
}

// Hang lets the server take connections and answer nothing, until it is told not to.
func (s *Server) Hang(hang bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case hang && s.hang == nil:
		s.hang = make(chan struct{})
	case !hang && s.hang != nil:
		close(s.hang)
		s.hang = nil
	}
}

// Judge lets a function say whether mails to somebody are taken; an answer of Refuse is told to the client.
func (s *Server) Judge(judge func(to string) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.judge = judge
}

// Refuse is an answer of the server.
func Refuse(code int, text string) error {
	return &smtp.SMTPError{Code: code, EnhancedCode: smtp.EnhancedCode{code / 100, 1, 1}, Message: text}
}

// Mails are those taken, in their order.
func (s *Server) Mails() []Mail {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.mails)
}

// Dialed is how many conversations have begun.
func (s *Server) Dialed() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dialed
}

func (s *Server) session(*smtp.Conn) (smtp.Session, error) {
	s.mu.Lock()
	s.dialed++
	hang := s.hang
	s.mu.Unlock()
	if hang != nil {
		<-hang
	}
	return &session{server: s, known: !s.cfg.Login}, nil
}

// session is one conversation.
type session struct {
	server *Server
	known  bool
	from   string
	to     []string
}

func (c *session) AuthMechanisms() []string {
	if !c.server.cfg.Login {
		return nil
	}
	return []string{sasl.Plain}
}

func (c *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if c.known = user == User && password == Password; !c.known {
			return smtp.ErrAuthFailed
		}
		return nil
	}), nil
}

func (c *session) Mail(from string, _ *smtp.MailOptions) error {
	if !c.known {
		return smtp.ErrAuthRequired
	}
	c.from = from
	return nil
}

func (c *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	c.server.mu.Lock()
	judge := c.server.judge
	c.server.mu.Unlock()
	if judge != nil {
		if err := judge(to); err != nil {
			return err
		}
	}
	c.to = append(c.to, to)
	return nil
}

func (c *session) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	m, err := read(raw)
	if err != nil {
		c.server.t.Errorf("a mail can't be read: %v\n%s", err, raw)
		return err
	}
	m.From, m.To = c.from, c.to
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	c.server.mails = append(c.server.mails, m)
	return nil
}

func (c *session) Reset() { c.from, c.to = "", nil }

func (*session) Logout() error { return nil }

// quiet keeps what the server has to say about broken connections out of the tests' output.
type quiet struct{}

func (quiet) Printf(string, ...any) {}
func (quiet) Println(...any)        {}
