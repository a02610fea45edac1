package serve

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"

	"boxoffice/cmd/internal/config"
	"boxoffice/internal/httpapi"
)

// secrets are all keys of a process, in the form their users want.
type secrets struct {
	tokens    *httpapi.Secrets
	operators *httpapi.OperatorKeys
	channels  *httpapi.ChannelKeys
	customer  []byte // key of customerRef
}

func newSecrets(cfg config.Config) (secrets, error) {
	var s secrets
	var errs [3]error
	s.tokens, errs[0] = httpapi.ParseSecrets(joined(cfg.SecretKeys))
	operators := make([]string, 0, len(cfg.OperatorKeys))
	for _, k := range cfg.OperatorKeys {
		operators = append(operators, k.Name+":"+string(k.Role)+":"+k.Key.Reveal())
	}
	s.operators, errs[1] = httpapi.ParseOperatorKeys(strings.Join(operators, ","))
	channels := make([]string, 0, len(cfg.ChannelKeys))
	for _, k := range cfg.ChannelKeys {
		channels = append(channels, k.Name+":"+k.Key.Reveal())
	}
	s.channels, errs[2] = httpapi.ParseChannelKeys(strings.Join(channels, ","))
	if !cfg.Roles.Has(config.API) {
		return s, nil // only HTTP needs them, and a process without it may be started without them
	}
	return s, errors.Join(errs[:]...)
}

func joined(keys config.Secrets) string {
	texts := make([]string, 0, len(keys))
	for _, k := range keys {
		texts = append(texts, k.Reveal())
	}
	return strings.Join(texts, ",")
}

// customerRefBytes is how much of a customer's HMAC the log has: 128 bits.
const customerRefBytes = 16

func (s secrets) customerRef(id string) string { return CustomerRef(s.customer, id) }

// CustomerRef is the only trace of a person in the log: an HMAC of the customer's id with the database's key,
// see eventstore.Store.CustomerKey.
func CustomerRef(key []byte, id string) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:customerRefBytes])
}
