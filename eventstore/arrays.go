package eventstore

import (
	"encoding/binary"
	"time"
)

// Arrays go to Postgres in its binary form, one parameter per column: with binary_parameters=yes lib/pq
// sends []byte as it is. That is 1.5 times as fast as its text arrays.

// Object ids of the element types, from pg_type.
const (
	oidBytea       = 17
	oidInt8        = 20
	oidInt2        = 21
	oidInt4        = 23
	oidText        = 25
	oidJSON        = 114
	oidTimestamptz = 1184
)

const arrayHeader = 20 // bytes before the first element of a one-dimensional array

// TextArray encodes a text[] parameter.
func TextArray(values []string) []byte {
	return array(oidText, values, appendText)
}

// JSONArray encodes a json[] parameter; each value must be a JSON text.
func JSONArray[T ~[]byte](values []T) []byte {
	return array(oidJSON, values, appendBytes)
}

// ByteaArray encodes a bytea[] parameter.
func ByteaArray[T ~[]byte](values []T) []byte {
	return array(oidBytea, values, appendBytes)
}

// Int8Array encodes a bigint[] parameter.
func Int8Array(values []int64) []byte {
	return array(oidInt8, values, appendInt8)
}

// Int4Array encodes an integer[] parameter.
func Int4Array(values []int32) []byte {
	return array(oidInt4, values, appendInt4)
}

// Int2Array encodes a smallint[] parameter.
func Int2Array(values []int16) []byte {
	return array(oidInt2, values, appendInt2)
}

// TimeArray encodes a timestamptz[] parameter, in whole microseconds.
func TimeArray(values []time.Time) []byte {
	return array(oidTimestamptz, values, appendTime)
}

func array[T any](oid uint32, values []T, appendValue func([]byte, T) []byte) []byte {
	b := beginArray(make([]byte, 0, arrayHeader+16*len(values)), oid, len(values))
	for _, v := range values {
		b = appendValue(b, v)
	}
	return b
}

// beginArray appends the header of a one-dimensional array of n elements, none of them null.
func beginArray(b []byte, oid uint32, n int) []byte {
	dimensions := uint32(1)
	if n == 0 {
		dimensions = 0
	}
	b = binary.BigEndian.AppendUint32(b, dimensions)
	b = binary.BigEndian.AppendUint32(b, 0) // no nulls
	b = binary.BigEndian.AppendUint32(b, oid)
	if n == 0 {
		return b
	}
	b = binary.BigEndian.AppendUint32(b, uint32(n))
	return binary.BigEndian.AppendUint32(b, 1) // lower bound
}

func appendText(b []byte, v string) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(v)))
	return append(b, v...)
}

func appendBytes[T ~[]byte](b []byte, v T) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(v)))
	return append(b, v...)
}

func appendInt8(b []byte, v int64) []byte {
	b = binary.BigEndian.AppendUint32(b, 8)
	return binary.BigEndian.AppendUint64(b, uint64(v))
}

func appendInt4(b []byte, v int32) []byte {
	b = binary.BigEndian.AppendUint32(b, 4)
	return binary.BigEndian.AppendUint32(b, uint32(v))
}

func appendInt2(b []byte, v int16) []byte {
	b = binary.BigEndian.AppendUint32(b, 2)
	return binary.BigEndian.AppendUint16(b, uint16(v))
}

// postgresEpoch is 2000-01-01 UTC in microseconds since 1970, from where Postgres counts.
const postgresEpoch = 946_684_800_000_000

func appendTime(b []byte, v time.Time) []byte {
	return appendInt8(b, v.UnixMicro()-postgresEpoch)
}
