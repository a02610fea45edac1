package config

import (
	"crypto/x509"
	"errors"
	"fmt"
	"math"
	"net/mail"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"boxoffice/cmd/internal/gateways"
	"boxoffice/internal/httpapi"
	"boxoffice/internal/notifications"
	"boxoffice/internal/payments"
)

// Limits of what may be configured.
const (
	MinHoldTTL     = time.Second
	MaxHoldTTL     = 24 * time.Hour
	MaxDrain       = 4 * time.Second // HTTP has 5 s to end, the drain included
	maxPartitions  = 1000
	maxReplication = 100
)

// Problem is one thing that is wrong with a configuration.
type Problem struct {
	Name    string // the variable
	Wrong   string // what is wrong with it
	Example string // NAME=value that would do; empty when no example helps
}

// Error says the problem in one line.
func (p Problem) Error() string {
	if p.Example == "" {
		return p.Name + ": " + p.Wrong
	}
	return p.Name + ": " + p.Wrong + " (for example " + p.Example + ")"
}

// Problems are the problems that Load, LoadTools and ParseRoles returned, in order; nil if err is something else.
func Problems(err error) []Problem {
	var all interface{ Unwrap() []error }
	var one Problem
	switch {
	case errors.As(err, &all):
	case errors.As(err, &one):
		return []Problem{one}
	default:
		return nil
	}
	var out []Problem
	for _, e := range all.Unwrap() {
		out = append(out, Problems(e)...)
	}
	return out
}

func join(problems []Problem) error {
	errs := make([]error, len(problems))
	for i, p := range problems {
		errs[i] = p
	}
	return errors.Join(errs...)
}

// without drops the problems of variables that have one already.
func without(problems, known []Problem) []Problem {
	return slices.DeleteFunc(problems, func(p Problem) bool {
		return slices.ContainsFunc(known, func(k Problem) bool { return strings.TrimSuffix(k.Name, "_FILE") == p.Name })
	})
}

// check judges the values by themselves and together. Which are needed depends on the roles: a process
// is not given secrets that it has no use for.
func (c Config) check() []Problem {
	out := checkDatabase("DATABASE_URL", c.DatabaseURL)
	out = append(out, c.Kafka.check()...)
	out = append(out, c.checkSecrets()...)
	add := func(name string, err error) {
		if err != nil {
			out = append(out, Problem{name, err.Error(), exampleOf(name)})
		}
	}
	add("INSTANCE_ID", matches(c.InstanceID, `^[A-Za-z0-9._-]{1,100}$`, "is not 1 to 100 letters, digits, dots, dashes or underscores"))
	add("HTTP_ADDR", checkAddress(c.HTTPAddr, false))
	if c.PublicURL != "" {
		add("PUBLIC_URL", checkURL(c.PublicURL, "http", "https"))
	}
	add("METRICS_ADDR", checkAddress(c.MetricsAddr, false))
	if known := gateways.Names(); !slices.Contains(known, c.PaymentGateway) {
		add("PAYMENT_GATEWAY", fmt.Errorf("%q is not a gateway that is known here: %s", c.PaymentGateway, strings.Join(known, ", ")))
	}
	if math.IsNaN(c.RateLimit) || c.RateLimit < 0 || c.RateLimit > maxRateLimit {
		add("RATE_LIMIT", fmt.Errorf("%v is not between 0 and %d", c.RateLimit, maxRateLimit))
	}
	if c.HoldTTL < MinHoldTTL || c.HoldTTL > MaxHoldTTL {
		add("HOLD_TTL", fmt.Errorf("%v is not between %v and %v", c.HoldTTL, MinHoldTTL, MaxHoldTTL))
	}
	if c.Drain < 0 || c.Drain > MaxDrain {
		add("DRAIN", fmt.Errorf("%v is not between 0s and %v", c.Drain, MaxDrain))
	}
	if c.SMTPURL != "" {
		add("SMTP_URL", notifications.CheckMailURL(c.SMTPURL.Reveal()))
		if c.MailFrom == "" {
			add("MAIL_FROM", errors.New("is needed with SMTP_URL"))
		}
	}
	if c.MailFrom != "" {
		if _, err := mail.ParseAddress(c.MailFrom); err != nil {
			add("MAIL_FROM", fmt.Errorf("%q is not a mail address", c.MailFrom))
		}
	}
	if c.LogFormat != LogAuto && c.LogFormat != LogJSON && c.LogFormat != LogText {
		add("LOG_FORMAT", fmt.Errorf("%q is not json, text or auto", string(c.LogFormat)))
	}
	if c.OTLPEndpoint != "" {
		add("OTEL_EXPORTER_OTLP_ENDPOINT", checkURL(c.OTLPEndpoint, "http", "https"))
	}
	if math.IsNaN(c.TraceRatio) || c.TraceRatio < 0 || c.TraceRatio > 1 {
		add("OTEL_TRACES_SAMPLER_ARG", fmt.Errorf("%v is not between 0 and 1", c.TraceRatio))
	}
	return append(out, checkRoles(c.Roles)...)
}

func (c Config) checkSecrets() []Problem {
	var out []Problem
	add := func(name, wrong string) { out = append(out, Problem{name, wrong, exampleOf(name)}) }
	if len(c.SecretKeys) == 0 && (c.Roles.Has(API) || c.Roles.Has(Notifications)) {
		add("SECRET_KEYS", "is not set; tokens and ticket codes are derived from it")
	}
	if len(c.SecretKeys) > 0 {
		if _, err := httpapi.ParseSecrets(joined(c.SecretKeys)); err != nil {
			add("SECRET_KEYS", oneLine(err).Error())
		}
	}
	if len(c.OperatorKeys) == 0 && c.Roles.Has(API) {
		add("OPERATOR_KEYS", "is not set; without it nobody can create a show")
	}
	if len(c.WebhookSecrets) == 0 && (c.Roles.Has(API) || c.Roles.Has(Payments)) {
		add("PAYMENT_WEBHOOK_SECRET", "is not set; deliveries of the gateway could not be told from forged ones")
	}
	if len(c.WebhookSecrets) > 2 {
		add("PAYMENT_WEBHOOK_SECRET", fmt.Sprintf("has %d secrets; two are allowed while rotating", len(c.WebhookSecrets)))
	}
	for i, secret := range c.WebhookSecrets {
		if _, err := payments.ParseSecret(secret.Reveal()); err != nil {
			add("PAYMENT_WEBHOOK_SECRET", fmt.Sprintf("secret %d is %s", i+1, err))
			break
		}
	}
	return out
}

func (k Kafka) check() []Problem {
	var out []Problem
	add := func(name, wrong string) {
		name = "KAFKA_" + name
		out = append(out, Problem{name, wrong, exampleOf(name)})
	}
	if len(k.Brokers) == 0 {
		add("BROKERS", "is not set")
	}
	if k.CAFile != "" {
		if err := checkCertificates(k.CAFile); err != nil {
			add("CA_FILE", err.Error())
		}
		if !k.TLS {
			add("TLS", "must be true when KAFKA_CA_FILE is set")
		}
	}
	if k.SASLMechanism == "" && (k.Username != "" || k.Password != "") {
		add("SASL_MECHANISM", "is needed with KAFKA_USERNAME and KAFKA_PASSWORD")
	}
	if k.SASLMechanism != "" {
		if !slices.Contains([]string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"}, k.SASLMechanism) {
			add("SASL_MECHANISM", fmt.Sprintf("%q is not PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512", k.SASLMechanism))
		}
		if k.Username == "" {
			add("USERNAME", "is needed with KAFKA_SASL_MECHANISM")
		}
		if k.Password == "" {
			add("PASSWORD", "is needed with KAFKA_SASL_MECHANISM")
		}
	}
	if err := matches(k.TopicPrefix, `^[A-Za-z0-9._-]{0,100}$`, "is not made of letters, digits, dots, dashes and underscores"); err != nil {
		add("TOPIC_PREFIX", err.Error())
	}
	if k.Partitions < 1 || k.Partitions > maxPartitions {
		add("PARTITIONS", fmt.Sprintf("%d is not between 1 and %d", k.Partitions, maxPartitions))
	}
	if k.Replication < 1 || k.Replication > maxReplication {
		add("REPLICATION", fmt.Sprintf("%d is not between 1 and %d", k.Replication, maxReplication))
	}
	return out
}

func checkCertificates(path string) error {
	text, err := os.ReadFile(path) //nolint:gosec // the operator names the file
	if err != nil {
		return fmt.Errorf("can't be read: %w", err)
	}
	if !x509.NewCertPool().AppendCertsFromPEM(text) {
		return fmt.Errorf("%s has no certificate in PEM form", path)
	}
	return nil
}

func checkDatabase(name string, u URL) []Problem {
	if u == "" {
		return []Problem{{name, "is not set", exampleOf(name)}}
	}
	parsed, err := url.Parse(u.Reveal())
	switch {
	case err != nil || (parsed.Scheme != "postgres" && parsed.Scheme != "postgresql"):
		return []Problem{{name, "is not a postgres:// URL", exampleOf(name)}}
	case parsed.Hostname() == "" && parsed.Query().Get("host") == "":
		return []Problem{{name, "names no host", exampleOf(name)}}
	}
	return nil
}

func checkURL(text string, schemes ...string) error {
	parsed, err := url.Parse(text)
	if err != nil || parsed.Hostname() == "" || !slices.Contains(schemes, parsed.Scheme) {
		return fmt.Errorf("is not a URL that begins with %s://", strings.Join(schemes, ":// or "))
	}
	return nil
}

func matches(value, pattern, wrong string) error {
	if !regexp.MustCompile(pattern).MatchString(value) {
		return fmt.Errorf("%q %s", value, wrong)
	}
	return nil
}

func exampleOf(name string) string {
	for _, v := range Variables() {
		if v.Name == name {
			return v.example()
		}
	}
	return ""
}
