package main

import (
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"boxoffice/cmd/internal/config"
)

// leastVariety is how many different characters a secret must have not to look like a placeholder: a random
// one of 32 hexadecimal digits has fewer once in a million times.
const leastVariety = 9

// checkConfiguration looks at what serve would read here. An operator's machine may have less than a process.
func (c *cli) checkConfiguration(cmd *cobra.Command, d *doctor) {
	const name = "configuration"
	if c.data != "" {
		d.ok(name, "the demo's own, made for %s", c.data)
		return
	}
	cfg, err := config.Load(config.Source{Environ: c.environ, Flags: cmd.Flags(), Hostname: c.hostname, Roles: config.AllRoles()})
	problems := config.Problems(err)
	for _, p := range problems {
		d.warn(name, "serve with all roles does not start like this; a machine from which only these commands are run may go without", "%s", p.Error())
	}
	d.mail = cfg.SMTPURL
	before := len(d.findings)
	for i, secret := range cfg.SecretKeys {
		d.checkSecret("SECRET_KEYS", i, secret)
	}
	for i, secret := range cfg.WebhookSecrets {
		d.checkSecret("PAYMENT_WEBHOOK_SECRET", i, secret)
	}
	for i, key := range cfg.OperatorKeys {
		d.checkSecret("OPERATOR_KEYS", i, key.Key)
	}
	for i, key := range cfg.ChannelKeys {
		d.checkSecret("CHANNEL_KEYS", i, key.Key)
	}
	if open(d.tools.DatabaseURL.Reveal()) {
		d.warn(name, "say sslmode=verify-full", "DATABASE_URL does not ask for TLS that knows the server, and leads to another machine")
	}
	if !d.tools.Kafka.TLS && slices.ContainsFunc(d.tools.Kafka.Brokers, func(b string) bool { return !isLocal("tcp://" + b) }) {
		d.warn(name, "set KAFKA_TLS=true", "KAFKA_BROKERS are on other machines and are spoken to without TLS")
	}
	if cfg.RateLimit > 0 && len(cfg.TrustedProxies) == 0 && strings.HasPrefix(cfg.PublicURL, "https://") {
		d.warn(name, "set TRUSTED_PROXIES to the networks of what ends TLS in front",
			"PUBLIC_URL is https, which something in front ends, so all callers come from its address: they share one RATE_LIMIT, and the wrong keys of one keep all from being heard")
	}
	if len(problems) == 0 && len(d.findings) == before {
		d.ok(name, "complete for all roles")
	}
}

// open reports whether a connection to another machine may be read or taken over on its way.
func open(address string) bool {
	u, err := url.Parse(address)
	if err != nil || isLocal(address) {
		return false
	}
	mode := u.Query().Get("sslmode")
	return mode != "verify-full" && mode != "verify-ca"
}

func (d *doctor) checkSecret(name string, at int, secret config.Secret) {
	different := map[rune]bool{}
	for _, r := range secret.Reveal() {
		different[r] = true
	}
	if len(different) < leastVariety || repeats(secret.Reveal()) {
		d.warn(name, "make a random one: openssl rand -hex 32", "entry %d looks like a placeholder", at+1)
	}
}

// repeats reports whether a text is a shorter one over and over.
func repeats(text string) bool {
	for n := 1; n <= len(text)/2; n++ {
		if len(text)%n != 0 {
			continue
		}
		same := true
		for i := n; i < len(text) && same; i++ {
			same = text[i] == text[i-n]
		}
		if same {
			return true
		}
	}
	return false
}
