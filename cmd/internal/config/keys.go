package config

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

const (
	minSecretKey   = 32 // characters of one of SECRET_KEYS
	minBearerKey   = 16 // characters of an operator's or a channel's key
	maxKeysPerList = 1000
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

// UnmarshalText reads name:role:key, comma separated or one a line; in a file, lines that begin with #
// are comments. It tells all that is wrong, by entry, and never a key.
func (k *OperatorKeys) UnmarshalText(text []byte) error {
	*k = nil
	var wrong []error
	entries := words(text)
	keys := map[string]bool{}
	for i, entry := range entries {
		parts := strings.SplitN(entry, ":", 3)
		if len(parts) != 3 {
			wrong = append(wrong, fmt.Errorf("entry %d is not name:role:key", i+1))
			continue
		}
		role := OperatorRole(parts[1])
		if role != Admin && role != Sales && role != Door && role != Read {
			wrong = append(wrong, fmt.Errorf("entry %d: the role is not admin, sales, door or read", i+1))
		}
		wrong = append(wrong, checkKey(i, parts[0], parts[2], keys))
		*k = append(*k, OperatorKey{parts[0], role, Secret(parts[2])})
	}
	return inOneLine(append(wrong, checkCount(len(entries))))
}

// ChannelKey lets a trusted frontend in.
type ChannelKey struct {
	Name string
	Key  Secret
}

// ChannelKeys are the trusted frontends of a service.
type ChannelKeys []ChannelKey

// UnmarshalText reads name:key, comma separated or one a line. It tells all that is wrong and never a key.
func (k *ChannelKeys) UnmarshalText(text []byte) error {
	*k = nil
	var wrong []error
	entries := words(text)
	keys := map[string]bool{}
	for i, entry := range entries {
		name, key, ok := strings.Cut(entry, ":")
		if !ok {
			wrong = append(wrong, fmt.Errorf("entry %d is not name:key", i+1))
			continue
		}
		wrong = append(wrong, checkKey(i, name, key, keys))
		*k = append(*k, ChannelKey{name, Secret(key)})
	}
	return inOneLine(append(wrong, checkCount(len(entries))))
}

func checkKey(i int, name, key string, seen map[string]bool) error {
	var wrong []error
	if !regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`).MatchString(name) {
		wrong = append(wrong, fmt.Errorf("entry %d: the name is not 1 to 64 letters, digits, dots, dashes or underscores", i+1))
	}
	if len(key) < minBearerKey {
		wrong = append(wrong, fmt.Errorf("entry %d: the key is shorter than %d characters", i+1, minBearerKey))
	}
	if seen[key] {
		wrong = append(wrong, fmt.Errorf("entry %d: the key stands there twice", i+1))
	}
	seen[key] = true
	return inOneLine(wrong)
}

func checkCount(n int) error {
	if n > maxKeysPerList {
		return fmt.Errorf("%d entries are more than %d", n, maxKeysPerList)
	}
	return nil
}

// inOneLine joins problems of one variable, so that the list of all problems keeps a line for each variable.
func inOneLine(wrong []error) error {
	var texts []string
	for _, err := range wrong {
		if err != nil {
			texts = append(texts, err.Error())
		}
	}
	if texts == nil {
		return nil
	}
	return errors.New(strings.Join(texts, "; "))
}

// words are the entries of a list: separated by commas or line ends, trimmed, without comment lines.
func words(text []byte) []string {
	var out []string
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(strings.TrimSpace(line), "#") {
			continue
		}
		for word := range strings.SplitSeq(line, ",") {
			if word = strings.TrimSpace(word); word != "" {
				out = append(out, word)
			}
		}
	}
	return out
}
