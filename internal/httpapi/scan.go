package httpapi

import "strings"

// maxDepth is how deep arrays and objects may nest.
const maxDepth = 32

// scanned is what one pass over the bytes tells, before anything is built from them.
type scanned struct {
	tooDeep bool
	nul     bool // a string has \u0000, which Postgres can't store
	odd     bool // there is a null or a -0, which only the slower decoding judges
}

// scan looks at the bytes of one body. It does not check the syntax: on broken JSON it may say anything, and
// the decoder refuses that afterwards.
func scan(b []byte) scanned {
	var found scanned
	depth := 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '{', '[':
			if depth++; depth > maxDepth {
				found.tooDeep = true
				return found
			}
		case '}', ']':
			depth--
		case 'n':
			found.odd = true
		case '-':
			if i+1 < len(b) && b[i+1] == '0' {
				found.odd = true
			}
		case '"':
			end, nul := scanString(b, i+1)
			found.nul = found.nul || nul
			i = end
		}
	}
	return found
}

// scanString goes from behind an opening quote to the closing one.
func scanString(b []byte, from int) (end int, nul bool) {
	for i := from; i < len(b); i++ {
		switch b[i] {
		case '"':
			return i, nul
		case '\\':
			if i+5 < len(b) && string(b[i+1:i+6]) == "u0000" {
				nul = true
			}
			i++
		}
	}
	return len(b), nul
}

// hasNUL reports whether a text has a NUL character, which Postgres can't store.
func hasNUL(s string) bool { return strings.IndexByte(s, 0) >= 0 }
