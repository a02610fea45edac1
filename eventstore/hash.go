package eventstore

import (
	"crypto/sha256"
	"encoding/binary"
	"strconv"
	"time"
)

// genesis is the hash before the first append, as schema.sql puts it into log_head.
func genesis() []byte { return make([]byte, sha256.Size) }

// Chain is the hash of an append: 32 bytes of SHA-256 over the hash before it, its first position, its
// time in microseconds since 1970 and every event's stored bytes, each part with its length before it.
// A nil prev is the hash before the first append.
func Chain(prev []byte, events []Event, at time.Time, first int64) []byte {
	if prev == nil {
		prev = genesis()
	}
	h := sha256.New()
	b := make([]byte, 0, 1024)
	b = appendSized(b, prev)
	b = binary.BigEndian.AppendUint64(b, uint64(first))
	b = binary.BigEndian.AppendUint64(b, uint64(at.UnixMicro()))
	for i := range events {
		e := &events[i]
		b = appendSized(b, e.Stream)
		b = binary.BigEndian.AppendUint64(b, uint64(e.Version))
		b = appendSized(b, e.Type)
		b = binary.BigEndian.AppendUint16(b, uint16(e.SchemaVersion))
		b = appendSized(b, e.Data)
		b = appendSized(b, e.Metadata)
		h.Write(b)
		b = b[:0]
	}
	h.Write(b)
	return h.Sum(nil)
}

func appendSized[T ~string | ~[]byte](b []byte, v T) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(len(v)))
	return append(b, v...)
}

func eventID(stream string, version int64) string {
	return stream + ":" + strconv.FormatInt(version, 10)
}
