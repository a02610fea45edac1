package config

import (
	"errors"
	"strings"

	"boxoffice/internal/httpapi"
)

// Secrets are secrets of which the first is used and all are accepted, so that they can be rotated.
type Secrets []Secret

// UnmarshalText reads a comma separated list.
func (s *Secrets) UnmarshalText(text []byte) error {
	*s = nil
	for _, word := range words(text) {
		*s = append(*s, Secret(word))
	}
	return nil
}

// joined is a list as UnmarshalText reads it.
func joined(s Secrets) string {
	texts := make([]string, len(s))
	for i, one := range s {
		texts[i] = one.Reveal()
	}
	return strings.Join(texts, ",")
}

// OperatorRole is what an operator may do: admin, sales, door or read.
type OperatorRole string

// The operators' roles.
const (
	Admin OperatorRole = "admin"
	Sales OperatorRole = "sales"
	Door  OperatorRole = "door"
	Read  OperatorRole = "read"
)

// OperatorKey lets an operator in.
type OperatorKey struct {
	Name string
	Role OperatorRole
	Key  Secret
}

// OperatorKeys are the operators of a service.
type OperatorKeys []OperatorKey

// UnmarshalText reads name:role:key, divided by commas or line ends. It tells all that is wrong, by entry,
// and never a key. The rules are httpapi's, which reads the file again when it changes.
func (k *OperatorKeys) UnmarshalText(text []byte) error {
	*k = nil
	if _, err := httpapi.ParseOperatorKeys(string(text)); err != nil {
		return oneLine(err)
	}
	for _, entry := range words(text) {
		name, rest, _ := strings.Cut(entry, ":")
		role, key, _ := strings.Cut(rest, ":")
		*k = append(*k, OperatorKey{name, OperatorRole(role), Secret(key)})
	}
	return nil
}

// ChannelKey lets a trusted frontend in.
type ChannelKey struct {
	Name string
	Key  Secret
}

// ChannelKeys are the trusted frontends of a service.
type ChannelKeys []ChannelKey

// UnmarshalText reads name:key, divided by commas or line ends. It tells all that is wrong and never a key.
func (k *ChannelKeys) UnmarshalText(text []byte) error {
	*k = nil
	if _, err := httpapi.ParseChannelKeys(string(text)); err != nil {
		return oneLine(err)
	}
	for _, entry := range words(text) {
		name, key, _ := strings.Cut(entry, ":")
		*k = append(*k, ChannelKey{name, Secret(key)})
	}
	return nil
}

// oneLine puts joined errors into one line, so that the list of all problems keeps a line for each variable.
func oneLine(err error) error {
	if err == nil {
		return nil
	}
	return errors.New(strings.ReplaceAll(err.Error(), "\n", "; "))
}

// words are the entries of a list, divided by commas or line ends.
func words(text []byte) []string {
	var out []string
	for _, word := range strings.FieldsFunc(string(text), func(c rune) bool { return c == ',' || c == '\n' || c == '\r' }) {
		if word = strings.TrimSpace(word); word != "" {
			out = append(out, word)
		}
	}
	return out
}
