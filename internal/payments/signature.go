package payments

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Headers of a delivery by Standard Webhooks 1.0.
const (
	HeaderID        = "Webhook-Id"
	HeaderTimestamp = "Webhook-Timestamp" // seconds since 1970
	HeaderSignature = "Webhook-Signature" // one or more, divided by spaces
)

const (
	secretPrefix   = "whsec_"
	minSecretBytes = 24
	maxSecrets     = 2 // while one is rotated
	scheme         = "v1,"
	maxDeliveryID  = 255 // bytes

	// Tolerance is how far a delivery's time may be from ours, either way.
	Tolerance = 300 * time.Second
)

// ErrSignature is returned for a delivery that is not signed as agreed. It says not which part is wrong.
var ErrSignature = errors.New("delivery is not signed as agreed")

// ErrSecret is returned for a text that is no webhook secret.
var ErrSecret = errors.New("not a webhook secret: whsec_ and the base64 of at least 24 bytes")

// Secret is a key that deliveries are signed with. It does not show in logs.
type Secret struct{ key []byte }

// ParseSecret reads a secret: whsec_ and base64. Errors: ErrSecret.
func ParseSecret(text string) (Secret, error) {
	encoded, ok := strings.CutPrefix(strings.TrimSpace(text), secretPrefix)
	if !ok {
		return Secret{}, ErrSecret
	}
	key, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil || len(key) < minSecretBytes {
		return Secret{}, ErrSecret
	}
	return Secret{key}, nil
}

// ParseSecrets reads one secret, or two divided by a comma while one takes the place of the other. The first
// signs. Errors: ErrSecret, or that there are too many.
func ParseSecrets(text string) ([]Secret, error) {
	parts := strings.Split(text, ",")
	if len(parts) > maxSecrets {
		return nil, fmt.Errorf("%d webhook secrets, at most %d are allowed", len(parts), maxSecrets)
	}
	secrets := make([]Secret, 0, len(parts))
	for _, part := range parts {
		secret, err := ParseSecret(part)
		if err != nil {
			return nil, err
		}
		secrets = append(secrets, secret)
	}
	return secrets, nil
}

// String hides the key.
func (Secret) String() string { return "***" }

// GoString hides the key.
func (Secret) GoString() string { return "***" }

// Sign sets the three headers of a delivery that is sent at a time.
func (s Secret) Sign(header http.Header, id string, at time.Time, body []byte) {
	stamp := strconv.FormatInt(at.Unix(), 10)
	header.Set(HeaderID, id)
	header.Set(HeaderTimestamp, stamp)
	header.Set(HeaderSignature, scheme+s.signature(id, stamp, body))
}

// signature is the base64 of the HMAC over what is signed.
func (s Secret) signature(id, stamp string, body []byte) string {
	mac := hmac.New(sha256.New, s.key)
	mac.Write([]byte(id + "." + stamp + "."))
	mac.Write(body)
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// Verifier checks deliveries by Standard Webhooks 1.0.
type Verifier struct {
	secrets []Secret
	now     func() time.Time
}

// NewVerifier makes a Verifier that takes what any of the secrets has signed, by the given clock.
func NewVerifier(now func() time.Time, secrets ...Secret) *Verifier {
	return &Verifier{secrets: secrets, now: now}
}

// Verify checks the signature over a body as it came, and returns the delivery's id. Errors: ErrSignature.
func (v *Verifier) Verify(body []byte, header http.Header) (id string, err error) {
	id, ok := only(header, HeaderID)
	stamp, stamped := only(header, HeaderTimestamp)
	signatures, signed := only(header, HeaderSignature)
	if !ok || !stamped || !signed || !visible(id) || !v.recent(stamp) {
		return "", ErrSignature
	}
	good := false
	for _, secret := range v.secrets {
		// Texts are compared, not what they decode to: base64 has more than one text for the same bytes.
		expected := []byte(scheme + secret.signature(id, stamp, body))
		for given := range strings.SplitSeq(signatures, " ") {
			if hmac.Equal([]byte(given), expected) {
				good = true
			}
		}
	}
	if !good {
		return "", ErrSignature
	}
	return id, nil
}

func (v *Verifier) recent(stamp string) bool {
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return false
	}
	// Compared as whole seconds: a difference of times would overflow for absurd stamps.
	now, tolerance := v.now().Unix(), int64(Tolerance/time.Second)
	return seconds >= now-tolerance && seconds <= now+tolerance
}

// only is the value of a header that is there exactly once and not empty.
func only(header http.Header, name string) (string, bool) {
	values := header.Values(name)
	if len(values) != 1 || values[0] == "" {
		return "", false
	}
	return values[0], true
}

// visible reports whether a delivery's id can be stored and shown: printable ASCII of bounded length.
func visible(id string) bool {
	return len(id) <= maxDeliveryID && !strings.ContainsFunc(id, func(c rune) bool { return c <= ' ' || c > '~' })
}
