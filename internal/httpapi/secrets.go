package httpapi

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// minSecretBytes is the shortest secret that tokens may be derived from.
const minSecretBytes = 32

// ticketCodeBytes is how much of a ticket's HMAC its code has: 128 bits, so that a QR stays small.
const ticketCodeBytes = 16

// Secrets derives order tokens and ticket codes from the service's secret keys. The first key makes them, and
// all keys are taken when one is checked, so keys can be rotated.
type Secrets struct{ keys [][]byte }

// ParseSecrets reads keys divided by commas, each of 32 characters at least. All that is wrong is returned at once.
func ParseSecrets(text string) (*Secrets, error) {
	s := &Secrets{}
	var errs []error
	for i, key := range strings.FieldsFunc(text, func(c rune) bool { return c == ',' || c == '\n' || c == '\r' }) {
		key = strings.TrimSpace(key)
		if len(key) < minSecretBytes {
			errs = append(errs, fmt.Errorf("secret keys: key %d must have %d characters at least", i+1, minSecretBytes))
			continue
		}
		s.keys = append(s.keys, []byte(key))
	}
	if len(s.keys) == 0 && len(errs) == 0 {
		errs = append(errs, errors.New("secret keys: there must be one at least"))
	}
	return s, errors.Join(errs...)
}

// OrderToken is the buyer's secret for an order: 43 characters that are safe in a URL.
func (s *Secrets) OrderToken(orderID string) string {
	return base64.RawURLEncoding.EncodeToString(derive(s.keys[0], "order-token:", orderID))
}

// CheckOrderToken reports whether a token is the one of this order, made with any of the keys.
func (s *Secrets) CheckOrderToken(orderID, token string) bool {
	return s.check("order-token:", orderID, token, sha256.Size)
}

// TicketCode is what a ticket's QR code carries: 22 characters that are safe in a URL.
func (s *Secrets) TicketCode(ticketID string) string {
	return base64.RawURLEncoding.EncodeToString(derive(s.keys[0], "ticket-code:", ticketID)[:ticketCodeBytes])
}

// CheckTicketCode reports whether a code is the one of this ticket, made with any of the keys.
func (s *Secrets) CheckTicketCode(ticketID, code string) bool {
	return s.check("ticket-code:", ticketID, code, ticketCodeBytes)
}

// String keeps the keys out of logs and error texts.
func (s *Secrets) String() string { return "***" }

// check compares in constant time, over all keys, whatever the first of them says.
func (s *Secrets) check(purpose, id, sent string, size int) bool {
	given, err := base64.RawURLEncoding.Strict().DecodeString(sent)
	if err != nil || len(given) != size {
		return false
	}
	ok := false
	for _, key := range s.keys {
		if hmac.Equal(given, derive(key, purpose, id)[:size]) {
			ok = true
		}
	}
	return ok
}

// derive binds what is made to its purpose, so that a token never is a ticket's code.
func derive(key []byte, purpose, id string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(purpose))
	mac.Write([]byte(id))
	return mac.Sum(nil)
}
