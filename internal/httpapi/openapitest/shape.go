package openapitest

import (
	"bytes"
	"hash/maphash"
	"strings"
	"sync/atomic"

	"github.com/go-json-experiment/json/jsontext"
)

// validateEvery says how many bodies of one shape have one that is validated.
const validateEvery = 64

var seed = maphash.MakeSeed()

// isDue reports whether what belongs to a key and a shape is to be validated: the first, and every 64th after it.
func (r *rules) isDue(kind, method, path, more, contentType string, shape uint64) bool {
	type key struct {
		kind, method, path, more, contentType string
		shape                                 uint64
	}
	of := key{kind, method, path, more, contentType, shape}
	seen, known := r.shapes.Load(of)
	if !known {
		seen, _ = r.shapes.LoadOrStore(of, new(atomic.Int64))
	}
	return (seen.(*atomic.Int64).Add(1)-1)%validateEvery == 0
}

// shapeOf hashes what a schema can judge of a body cheaply: names, kinds, and texts that look like words of ours.
// What is not JSON has the shape of its length.
func shapeOf(contentType string, body []byte) uint64 {
	if strings.Contains(contentType, "json") {
		dec := jsontext.NewDecoder(bytes.NewReader(body))
		if hash, err := valueShape(dec); err == nil {
			return hash
		}
	}
	return uint64(len(body))
}

// valueShape reads one value. Neighbours of one shape in an array count once.
func valueShape(dec *jsontext.Decoder) (uint64, error) {
	token, err := dec.ReadToken()
	if err != nil {
		return 0, err
	}
	switch token.Kind() {
	case '{':
		return objectShape(dec)
	case '[':
		hash, last := uint64('['), uint64(0)
		for dec.PeekKind() != ']' {
			one, err := valueShape(dec)
			if err != nil {
				return 0, err
			}
			if one != last {
				hash = mix(hash, one)
			}
			last = one
		}
		_, err := dec.ReadToken()
		return hash, err
	case '"':
		if text := token.String(); isWord(text) {
			return maphash.String(seed, text), nil
		} else if isDate(text) {
			return maphash.String(seed, dateShape(text)), nil
		}
		return '"', nil
	case '0':
		return '0' + uint64(token.String()[0])&1<<'-', nil // negative or not
	default:
		return uint64(token.Kind()), nil
	}
}

func objectShape(dec *jsontext.Decoder) (uint64, error) {
	hash := uint64('{')
	for dec.PeekKind() != '}' {
		name, err := dec.ReadToken()
		if err != nil {
			return 0, err
		}
		hash = mix(hash, maphash.String(seed, name.String()))
		value, err := valueShape(dec)
		if err != nil {
			return 0, err
		}
		hash = mix(hash, value)
	}
	_, err := dec.ReadToken()
	return hash, err
}

func mix(a, b uint64) uint64 { return (a^b)*0x9E3779B97F4A7C15 + b>>29 }

// isWord reports whether a text may be one of an enumeration.
func isWord(s string) bool {
	const longest = 32
	return s != "" && len(s) <= longest && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_") == ""
}

// isDate reports whether a text begins like a time.
func isDate(s string) bool {
	return len(s) > 5 && len(s) < 40 && s[4] == '-' && s[0] >= '0' && s[0] <= '9'
}

// dateShape is a text with a 0 for each run of digits.
func dateShape(s string) string {
	var out []byte
	for _, c := range []byte(s) {
		if c >= '0' && c <= '9' {
			c = '0'
		}
		if len(out) == 0 || c != '0' || out[len(out)-1] != '0' {
			out = append(out, c)
		}
	}
	return string(out)
}
