package httpapi

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
)

// minKeyBytes is the shortest operator's or channel's key.
const minKeyBytes = 16

// Operator is a person or program that runs the box office.
type Operator struct {
	Name string
	Role Role
}

// OperatorKeys knows operators by their keys. Only hashes are kept, and they can be replaced while in use.
type OperatorKeys struct{ entries atomic.Pointer[[]keyEntry] }

type keyEntry struct {
	sum  [sha256.Size]byte
	name string
	role Role
}

// ParseOperatorKeys reads "name:role:key" entries, divided by commas or line ends; roles are admin, sales, door
// and read, keys have 16 characters at least. All that is wrong is returned at once, without the keys.
func ParseOperatorKeys(text string) (*OperatorKeys, error) {
	entries, err := parseOperators(text)
	if err != nil {
		return nil, err
	}
	keys := &OperatorKeys{}
	keys.entries.Store(&entries)
	return keys, nil
}

// Lookup finds the operator of a key. It takes the same time whichever key it is.
func (k *OperatorKeys) Lookup(key string) (Operator, bool) {
	if k == nil {
		return Operator{}, false
	}
	entry, ok := find(*k.entries.Load(), key)
	return Operator{Name: entry.name, Role: entry.role}, ok
}

// Len is how many operators have a key.
func (k *OperatorKeys) Len() int { return len(*k.entries.Load()) }

// ChannelKeys knows trusted frontends by their keys.
type ChannelKeys struct{ entries []keyEntry }

// ParseChannelKeys reads "name:key" entries, divided by commas or line ends; keys have 16 characters at least.
// All that is wrong is returned at once, without the keys.
func ParseChannelKeys(text string) (*ChannelKeys, error) {
	entries, err := parseKeys(text, func(entry string) (keyEntry, string, error) {
		name, key, ok := strings.Cut(entry, ":")
		if !ok {
			return keyEntry{}, "", errors.New("must be name:key")
		}
		return keyEntry{name: name}, key, nil
	})
	if err != nil {
		return nil, fmt.Errorf("channel keys: %w", err)
	}
	return &ChannelKeys{entries: entries}, nil
}

// Lookup finds the name of a key's frontend. It takes the same time whichever key it is.
func (k *ChannelKeys) Lookup(key string) (string, bool) {
	entry, ok := find(k.entries, key)
	return entry.name, ok
}

// Configured reports whether there are channel keys at all. A nil *ChannelKeys has none.
func (k *ChannelKeys) Configured() bool { return k != nil && len(k.entries) > 0 }

func find(entries []keyEntry, key string) (found keyEntry, ok bool) {
	sum := sha256.Sum256([]byte(key))
	for _, entry := range entries {
		if subtle.ConstantTimeCompare(sum[:], entry.sum[:]) == 1 {
			found, ok = entry, true
		}
	}
	return found, ok
}

func parseOperators(text string) ([]keyEntry, error) {
	entries, err := parseKeys(text, func(entry string) (keyEntry, string, error) {
		parts := strings.SplitN(entry, ":", 3)
		if len(parts) != 3 {
			return keyEntry{}, "", errors.New("must be name:role:key")
		}
		role := Role(parts[1])
		if role.bit() == 0 {
			return keyEntry{}, "", errors.New("its role must be admin, sales, door or read")
		}
		return keyEntry{name: parts[0], role: role}, parts[2], nil
	})
	if err != nil {
		return nil, fmt.Errorf("operator keys: %w", err)
	}
	return entries, nil
}

// parseKeys reads a list of entries and finds everything that is wrong with it. Errors name entries by number.
func parseKeys(text string, parse func(string) (keyEntry, string, error)) ([]keyEntry, error) {
	var entries []keyEntry
	var errs []error
	names, sums := map[string]bool{}, map[[sha256.Size]byte]bool{}
	fields := strings.FieldsFunc(text, func(c rune) bool { return c == ',' || c == '\n' || c == '\r' })
	for i, field := range fields {
		field = strings.TrimSpace(field)
		if field == "" {
			continue
		}
		entry, key, err := parse(field)
		entry.sum = sha256.Sum256([]byte(key))
		switch {
		case err != nil:
		case entry.name == "" || !harmless(entry.name):
			err = errors.New("its name must be made of letters, digits and -_")
		case names[entry.name]:
			err = errors.New("its name is there twice")
		case len(key) < minKeyBytes:
			err = fmt.Errorf("its key must have %d characters at least", minKeyBytes)
		case !visible(key):
			err = errors.New("its key must be visible ASCII")
		case sums[entry.sum]:
			err = errors.New("its key is there twice")
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("entry %d: %w", i+1, err))
			continue
		}
		names[entry.name], sums[entry.sum] = true, true
		entries = append(entries, entry)
	}
	return entries, errors.Join(errs...)
}

// visible reports whether a text is made of ASCII characters that can be seen.
func visible(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return s != ""
}
