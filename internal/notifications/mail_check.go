package notifications

import (
	"context"
	"net"
)

// CheckMailServer talks to the mail server of a URL as before a mail: it connects, begins TLS where a mail would, logs
// in where the URL has a password, and hangs up. Errors: those of CheckMailURL, and ErrUnavailable.
func CheckMailServer(ctx context.Context, url string) error {
	server, err := parseMailURL(url)
	if err != nil {
		return err
	}
	conn, err := (&MailSender{server: server, dial: (&net.Dialer{}).DialContext}).connect(ctx)
	if err != nil {
		return err
	}
	conn.end()
	return nil
}
