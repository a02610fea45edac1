package notifications

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"strings"

	gomail "github.com/wneessen/go-mail"

	"boxoffice/domain"
)

// MailConfig is what mails need.
type MailConfig struct {
	URL  string // of the server, see CheckMailURL
	From string // an address, with a name before it or not
	// Letters writes what buyers are told.
	Letters *Letters
}

// MailSender sends mails to buyers through an SMTP server. It tells them how to pay, that they have their tickets,
// that an order ended, and that money went back.
type MailSender struct {
	server  mailServer
	from    *mail.Address
	letters *Letters

	dial  func(ctx context.Context, network, address string) (net.Conn, error) // tests replace it
	roots *x509.CertPool                                                       // nil: the system's
}

// NewMailSender makes a sender. It does no I/O. Errors: of the address or the server's URL.
func NewMailSender(cfg MailConfig) (*MailSender, error) {
	server, err := parseMailURL(cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("mail server: %w", err)
	}
	from, err := mail.ParseAddress(cfg.From)
	if err != nil {
		return nil, fmt.Errorf("sender of mails: %w", err)
	}
	return &MailSender{server: server, from: from, letters: cfg.Letters, dial: (&net.Dialer{}).DialContext}, nil
}

// Name is mail.
func (*MailSender) Name() string { return "mail" }

// Wants what a buyer has to know.
func (*MailSender) Wants(_ context.Context, n Notification) bool {
	return n.Is(domain.Confirmed) || n.Is(domain.Completed) || n.Is(domain.Canceled) || n.IsRefund()
}

// Send writes the letter from what the log says now, and hands it to the mail server.
func (s *MailSender) Send(ctx context.Context, n Notification) (Outcome, error) {
	letter, outcome, err := s.letters.Write(ctx, n)
	if err != nil || outcome.Result != "" {
		return outcome, err
	}
	msg, err := s.message(n, letter)
	if err != nil {
		return Outcome{}, err
	}
	conn, err := s.connect(ctx)
	if err != nil {
		return Outcome{}, err
	}
	defer conn.end()
	return judge(msg, conn.client.SendWithSMTPClient(conn.smtp, msg))
}

// message is the mail. Its id follows from the notification's, so whoever gets it twice can tell.
func (s *MailSender) message(n Notification, letter Letter) (*gomail.Msg, error) {
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	msg.FromMailAddress(s.from)
	msg.ToMailAddress(&letter.To)
	msg.Subject(letter.Subject)
	msg.SetMessageIDWithValue(s.messageID(n.ID))
	msg.SetDate()
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // no holiday notes, please
	msg.SetBodyString(gomail.TypeTextPlain, letter.Text)
	msg.AddAlternativeString(gomail.TypeTextHTML, letter.HTML)
	if len(msg.GetTo()) != 1 || len(msg.GetFrom()) != 1 {
		return nil, errors.New("the mail has not one sender and one recipient")
	}
	return msg, nil
}

// messageID is an id in the sender's domain, of letters and digits only, whatever the notification's looks like.
func (s *MailSender) messageID(notification string) string {
	sum := sha256.Sum256([]byte(notification))
	_, host, _ := strings.Cut(s.from.Address, "@")
	return "boxoffice." + hex.EncodeToString(sum[:16]) + "@" + host
}

// judge says what the server's answer to a mail means. Only codes are told: texts of servers name recipients.
func judge(msg *gomail.Msg, err error) (Outcome, error) {
	if err == nil || msg.IsDelivered() { // what went wrong after the server has taken it is no matter
		return Outcome{Result: Sent}, nil
	}
	refused, ok := errors.AsType[*gomail.SendError](err)
	if !ok {
		return Outcome{}, fmt.Errorf("%w: the connection to the mail server broke", ErrUnavailable)
	}
	code := refused.ErrorCode()
	reason := fmt.Sprintf("mail server answered %d %s after %s", code, refused.EnhancedStatusCode(), refused.Reason)
	switch {
	case code == 0:
		return Outcome{}, fmt.Errorf("%w: no answer from the mail server after %s", ErrUnavailable, refused.Reason)
	case code == serviceClosing, refused.Reason == gomail.ErrSMTPMailFrom:
		// It is not this mail but us who are refused: an operator may mend that while the mails wait.
		return Outcome{}, fmt.Errorf("%w: %s", ErrUnavailable, reason)
	case code >= permanentCodes:
		return Outcome{Failed, reason}, nil
	default:
		return Outcome{}, errors.New(reason)
	}
}

// Codes of SMTP.
const (
	serviceClosing = 421
	permanentCodes = 500
)
