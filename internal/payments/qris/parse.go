package qris

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

// ErrChecksum is returned for a code whose checksum does not fit its content.
var ErrChecksum = errors.New("checksum of the code does not fit")

// ErrForm is returned for what is not made of fields.
var ErrForm = errors.New("code is not made of EMVCo fields")

// Fields are the fields of a code or of a template in it, by tag.
type Fields map[string]string

// Parse reads a code of any EMVCo merchant after checking its checksum. Values of templates are read with
// Template. Errors: ErrForm, ErrChecksum.
func Parse(code string) (Fields, error) {
	fields, last, err := split(code)
	if err != nil {
		return nil, err
	}
	if last != TagChecksum || len(fields[TagChecksum]) != checksumLen {
		return nil, fmt.Errorf("%w: it does not end with a checksum", ErrForm)
	}
	if covered := len(code) - checksumLen; checksum(code[:covered]) != code[covered:] {
		return nil, ErrChecksum
	}
	return fields, nil
}

// Template reads the fields inside a field. Errors: ErrForm.
func (f Fields) Template(tag string) (Fields, error) {
	fields, _, err := split(f[tag])
	return fields, err
}

// split cuts a text into its fields and names the last one. Lengths count characters, not bytes.
func split(text string) (fields Fields, last string, err error) {
	fields = Fields{}
	for rest := text; rest != ""; {
		if len(rest) < 4 || !digits(rest[:4]) {
			return nil, "", fmt.Errorf("%w: at byte %d", ErrForm, len(text)-len(rest))
		}
		tag, n := rest[:2], int(rest[2]-'0')*10+int(rest[3]-'0')
		rest = rest[4:]
		size := 0
		for range n {
			_, width := utf8.DecodeRuneInString(rest[size:])
			if width == 0 {
				return nil, "", fmt.Errorf("%w: field %s is cut off", ErrForm, tag)
			}
			size += width
		}
		if _, twice := fields[tag]; twice || n == 0 {
			return nil, "", fmt.Errorf("%w: field %s is empty or there twice", ErrForm, tag)
		}
		fields[tag], rest, last = rest[:size], rest[size:], tag
	}
	return fields, last, nil
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}
