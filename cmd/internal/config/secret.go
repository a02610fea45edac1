package config

import (
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"strings"
)

const redacted = "***"

// Secret is a value that is never printed: every way of formatting, logging or marshaling it gives ***.
type Secret string

// Reveal is the value itself. Where it is called is where a secret leaves the configuration.
func (s Secret) Reveal() string { return string(s) }

// String hides the value.
func (Secret) String() string { return redacted }

// Format hides the value from every verb, %#v and %x included.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue hides the value from slog.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText hides the value from encoders.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// URL is a server's address that may carry a password; only the password is hidden when it is printed.
type URL string

// Reveal is the address with its password.
func (u URL) Reveal() string { return string(u) }

// String is the address with *** in place of its password.
func (u URL) String() string {
	if u == "" {
		return ""
	}
	parsed, err := url.Parse(string(u))
	if err != nil {
		return redacted
	}
	query := parsed.Query()
	if query.Has("password") {
		query.Set("password", "xxxxx")
		parsed.RawQuery = query.Encode()
	}
	// Redacted writes five x; stars in their place would be escaped.
	return strings.ReplaceAll(parsed.Redacted(), "xxxxx", redacted)
}

// Format hides the password from every verb.
func (u URL) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, u.String()) }

// LogValue hides the password from slog.
func (u URL) LogValue() slog.Value { return slog.StringValue(u.String()) }

// MarshalText hides the password from encoders.
func (u URL) MarshalText() ([]byte, error) { return []byte(u.String()), nil }
