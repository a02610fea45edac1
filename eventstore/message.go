package eventstore

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ThreeDotsLabs/watermill/message"
)

// Headers of an event on Kafka: CloudEvents 1.0 in binary mode, and ours.
const (
	HeaderSpecVersion = "ce_specversion"
	HeaderID          = "ce_id"
	HeaderType        = "ce_type"
	HeaderSource      = "ce_source"
	HeaderSubject     = "ce_subject"
	HeaderTime        = "ce_time"
	HeaderContentType = "content-type"
	HeaderVersion     = "boxoffice_version"
	HeaderPosition    = "boxoffice_position"
	HeaderHash        = "boxoffice_hash" // only on the last event of an append
	HeaderCut         = "boxoffice_cut"  // bytes of data that were too many for Kafka: the log alone has them
	HeaderTrace       = "traceparent"    // W3C trace context, where the event's command came with one
)

const (
	specVersion = "1.0"
	source      = "/boxoffice"
	typePrefix  = "boxoffice."
	contentType = "application/json"
)

// maxNameBytes is how long a stream's name may be in a message. Postgres can't index much longer ones.
const maxNameBytes = 2_000

// ErrForeign: a message is not an event of this log.
var ErrForeign = errors.New("log: not an event of the log")

// ToMessage is the event as Kafka carries it. Its payload is the event's data, not a copy. Metadata but the trace
// stays behind: it names actors and requests, and the log has it.
func ToMessage(r Recorded) *message.Message {
	id := r.ID()
	m := message.NewMessage(id, message.Payload(r.Data))
	m.Metadata = message.Metadata{
		HeaderSpecVersion: specVersion,
		HeaderID:          id,
		HeaderType:        typePrefix + r.Type + ".v" + strconv.Itoa(int(r.SchemaVersion)),
		HeaderSource:      source,
		HeaderSubject:     r.Stream,
		HeaderTime:        r.RecordedAt.UTC().Format(time.RFC3339Nano),
		HeaderContentType: contentType,
		HeaderVersion:     strconv.FormatInt(r.Version, 10),
		HeaderPosition:    strconv.FormatInt(r.Position, 10),
	}
	if len(r.Hash) > 0 {
		m.Metadata[HeaderHash] = hex.EncodeToString(r.Hash)
	}
	if trace := traceOf(r.Metadata); trace != "" {
		m.Metadata[HeaderTrace] = trace
	}
	return m
}

// traceOf finds the trace in an event's metadata without decoding it, which costs more than all the rest of a
// message. Within a value a quote has a backslash before it, so the name found is the member's.
func traceOf(metadata []byte) string {
	const (
		member = `"trace":"`
		length = 55 // of a traceparent of version 00
	)
	at := bytes.LastIndex(metadata, []byte(member))
	if at < 0 {
		return ""
	}
	value := metadata[at+len(member):]
	if len(value) <= length || value[length] != '"' {
		return ""
	}
	return string(value[:length])
}

// WithoutData is an event's message without the data, for an event that is too large for Kafka. Who reads it
// knows that there is such an event, and finds the rest in the log.
func WithoutData(m *message.Message) *message.Message {
	stub := message.NewMessage(m.UUID, message.Payload("{}"))
	stub.Metadata = maps.Clone(m.Metadata)
	stub.Metadata[HeaderCut] = strconv.Itoa(len(m.Payload))
	return stub
}

// FromMessage reads what ToMessage wrote; Recorded.Metadata is empty and Data is the message's payload,
// not a copy, or nil where it was cut (see WithoutData). ErrForeign if it is anything else.
func FromMessage(m *message.Message) (Recorded, error) {
	if m == nil {
		return Recorded{}, fmt.Errorf("%w: no message", ErrForeign)
	}
	var r Recorded
	if v := m.Metadata[HeaderSpecVersion]; v != specVersion {
		return r, fmt.Errorf("%w: %s is %q", ErrForeign, HeaderSpecVersion, v)
	}
	name, schema, ok := cutType(m.Metadata[HeaderType])
	if !ok {
		return r, fmt.Errorf("%w: %s is %q", ErrForeign, HeaderType, m.Metadata[HeaderType])
	}
	r.Type, r.SchemaVersion, r.Stream = name, schema, m.Metadata[HeaderSubject]
	for _, text := range []string{r.Type, r.Stream} {
		if len(text) > maxNameBytes || !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
			return Recorded{}, fmt.Errorf("%w: Postgres could not store %.100q", ErrForeign, text)
		}
	}
	var err error
	if r.Version, err = count(m, HeaderVersion); err != nil {
		return Recorded{}, err
	}
	if r.Position, err = count(m, HeaderPosition); err != nil {
		return Recorded{}, err
	}
	stream, version, ok := cutLast(m.Metadata[HeaderID], ":")
	if !ok || r.Stream == "" || stream != r.Stream || version != m.Metadata[HeaderVersion] {
		return Recorded{}, fmt.Errorf("%w: %s is %q, of stream %q", ErrForeign, HeaderID, m.Metadata[HeaderID], r.Stream)
	}
	if r.RecordedAt, err = time.Parse(time.RFC3339Nano, m.Metadata[HeaderTime]); err != nil {
		return Recorded{}, fmt.Errorf("%w: %s: %w", ErrForeign, HeaderTime, err)
	}
	r.RecordedAt = r.RecordedAt.UTC()
	if hash := m.Metadata[HeaderHash]; hash != "" {
		if r.Hash, err = hex.DecodeString(hash); err != nil || len(r.Hash) != len(genesis()) {
			return Recorded{}, fmt.Errorf("%w: %s is %q", ErrForeign, HeaderHash, hash)
		}
	}
	if m.Metadata[HeaderCut] == "" {
		r.Data = json.RawMessage(m.Payload)
	}
	return r, nil
}

// cutType takes boxoffice.TicketsHeld.v1 apart.
func cutType(text string) (name string, schema int16, ok bool) {
	rest, ok := strings.CutPrefix(text, typePrefix)
	if !ok {
		return "", 0, false
	}
	name, number, ok := cutLast(rest, ".v")
	if !ok || name == "" {
		return "", 0, false
	}
	n, err := strconv.ParseInt(number, 10, 16)
	return name, int16(n), err == nil && n > 0
}

func cutLast(text, separator string) (before, after string, ok bool) {
	at := strings.LastIndex(text, separator)
	if at < 0 {
		return "", "", false
	}
	return text[:at], text[at+len(separator):], true
}

// count reads a header that counts from 1.
func count(m *message.Message, header string) (int64, error) {
	n, err := strconv.ParseInt(m.Metadata[header], 10, 64)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("%w: %s is %q", ErrForeign, header, m.Metadata[header])
	}
	return n, nil
}
