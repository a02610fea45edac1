package domain

import (
	"strings"
	"unicode/utf8"
)

// MaxText is how much of a gateway's text is kept, in bytes; enough for any reference or status.
const MaxText = 4096

// storableText reports whether a text comes back from the log as it went in: JSON has no form for bytes
// that are not UTF-8, and Postgres none for NUL.
func storableText(s string) bool {
	return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0
}

// kept is a gateway's text as it can be stored. Money never fails on how it is described, so what can't be
// stored is replaced and what is too long is cut; both always in the same way, so that a repeat stays one.
func kept(s string) string {
	if len(s) > MaxText {
		s = s[:MaxText]
	}
	if storableText(s) {
		return s
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}
