package main

import (
	"context"

	"boxoffice/internal/notifications"
)

// checkMail looks at the mail server, if SMTP_URL is set here.
func (d *doctor) checkMail(ctx context.Context) {
	const name = "mail"
	if d.mail == "" {
		d.ok(name, "SMTP_URL is not set here: buyers get no mails")
		return
	}
	if notifications.CheckMailURL(d.mail.Reveal()) != nil {
		return // the configuration's finding
	}
	ctx, cancel := context.WithTimeout(ctx, checkLimit)
	defer cancel()
	if err := notifications.CheckMailServer(ctx, d.mail.Reveal()); err != nil {
		d.unreached(name, "the mail server at "+hostOf(d.mail), err)
		return
	}
	d.ok(name, "the server at %s takes mails", hostOf(d.mail))
}
