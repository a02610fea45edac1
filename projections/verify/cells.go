package verify

import (
	"fmt"
	"hash/maphash"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
)

// cell is what a column holds, as text. Whatever is stored there can be scanned into it: what a superuser has
// made unreadable is to be found, not to stop the verification.
type cell string

// null is what no text in Postgres can be.
const null cell = "\x00"

// Scan takes a column's value. It never fails.
func (c *cell) Scan(value any) error {
	switch v := value.(type) {
	case nil:
		*c = null
	case int64:
		*c = number(v)
	case bool:
		*c = flag(v)
	case time.Time:
		*c = instant(v)
	case []byte:
		*c = cell(v)
	default:
		*c = cell(fmt.Sprint(v)) // also texts, and times like infinity, which come as texts
	}
	return nil
}

func number(n int64) cell { return cell(strconv.FormatInt(n, 10)) }

func flag(b bool) cell { return cell(strconv.FormatBool(b)) }

// instant is a time as Postgres keeps it, in microseconds.
func instant(t time.Time) cell {
	return cell(time.UnixMicro(t.UnixMicro()).UTC().Format(time.RFC3339Nano))
}

// instantOrNull is a time of which the log tells none by the zero time, and the read models by null.
func instantOrNull(t time.Time) cell {
	if t.IsZero() {
		return null
	}
	return instant(t)
}

// parsed makes a JSON column comparable: a T is read from it, strictly, and told as text again. What is no T
// stays as it is, and so is like nothing that the log makes.
func parsed[T any](column cell, tell func(T) cell) cell {
	var value T
	if column == "null" || json.Unmarshal([]byte(column), &value, json.RejectUnknownMembers(true)) != nil {
		return "unreadable: " + column
	}
	return tell(value)
}

// list tells a list, one after the other.
func list[T any](all []T, tell func(b []byte, one *T) []byte) cell {
	b := make([]byte, 0, 64)
	for i := range all {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = tell(b, &all[i])
	}
	return cell(append(b, '.')) // so that no list is empty text
}

// quoted appends a text so that it ends where it ends. It is strconv.AppendQuote, but most texts are plain, and
// those of QR codes long.
func quoted(b []byte, text string) []byte {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return strconv.AppendQuote(b, text)
		}
	}
	b = append(append(b, '"'), text...)
	return append(b, '"')
}

// words tells a list of words.
func words(all []string) cell {
	return list(all, func(b []byte, word *string) []byte { return quoted(b, *word) })
}

// sumOf is eight bytes that stand for cells, in their order. The seed is the process' own, so that nobody can
// look for other cells with the same sum.
func sumOf(seed maphash.Seed, cells ...cell) digest {
	var h maphash.Hash
	h.SetSeed(seed)
	for _, c := range cells {
		_, _ = h.WriteString(strconv.Itoa(len(c)))
		_ = h.WriteByte(':')
		_, _ = h.WriteString(string(c))
	}
	return digest(h.Sum64() | 1)
}

// difference is a column that is not as the log makes it.
type difference struct{ column, has, makes string }

// maxTold is how many bytes of a column's value a finding tells.
const maxTold = 300

// differences compares two rows, structs of one type whose fields name their columns by the tag db.
func differences(has, makes any) []difference {
	stored, made := reflect.ValueOf(has), reflect.ValueOf(makes)
	if stored.Kind() != reflect.Struct || stored.Type() != made.Type() {
		return []difference{{"", fmt.Sprintf("%+v", has), fmt.Sprintf("%+v", makes)}}
	}
	var all []difference
	for i := range stored.NumField() {
		if !stored.Field(i).Equal(made.Field(i)) {
			column := stored.Type().Field(i).Tag.Get("db")
			all = append(all, difference{column, told(stored.Field(i)), told(made.Field(i))})
		}
	}
	return all
}

// told is a column's value for people.
func told(v reflect.Value) string {
	text := fmt.Sprint(v)
	if text == string(null) {
		return "null"
	}
	if text == "" {
		return "empty"
	}
	if len(text) > maxTold {
		text = strings.ToValidUTF8(text[:maxTold], "") + "…"
	}
	return text
}

// columnsOf are the names of differing columns, and what they have and should have in words.
func columnsOf(all []difference) (columns []string, detail string) {
	sentences := make([]string, len(all))
	for i, d := range all {
		columns = append(columns, d.column)
		sentences[i] = fmt.Sprintf("%s is %s, the log makes %s", d.column, d.has, d.makes)
	}
	return columns, strings.Join(sentences, "; ")
}
