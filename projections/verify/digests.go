package verify

import (
	"encoding/binary"
	"hash/maphash"
	"sort"

	"boxoffice/eventstore"
)

// digests are twelve bytes per event of the log, found by position, and whether the event was seen in a
// topic: eight for its content, four for the hash of its append.
type digests struct {
	seed   maphash.Seed
	chunks [][]uint64
	hashes [][]uint32
	seen   [][]uint64 // bits
	count  int64
	last   int64 // position
	jumps  []jump
	buf    []byte
}

// jump says that from a position on, positions are larger than ordinals by a shift. A sound log has none.
type jump struct{ position, shift int64 }

const digestChunk = 1 << 16

func newDigests() *digests { return &digests{seed: maphash.MakeSeed()} }

func (d *digests) add(e *eventstore.Recorded) {
	if e.Position != d.last+1 {
		d.jumps = append(d.jumps, jump{e.Position, e.Position - d.count - 1})
	}
	if d.count%digestChunk == 0 {
		d.chunks = append(d.chunks, make([]uint64, digestChunk))
		d.hashes = append(d.hashes, make([]uint32, digestChunk))
		d.seen = append(d.seen, make([]uint64, digestChunk/64))
	}
	d.chunks[d.count/digestChunk][d.count%digestChunk] = d.content(e)
	d.hashes[d.count/digestChunk][d.count%digestChunk] = d.hash(e)
	d.last = e.Position
	d.count++
}

// same reports whether a message has an event's content, and whether it has its hash.
func (d *digests) same(ordinal int64, e *eventstore.Recorded) (content, hash bool) {
	chunk, place := ordinal/digestChunk, ordinal%digestChunk
	return d.chunks[chunk][place] == d.content(e), d.hashes[chunk][place] == d.hash(e)
}

// content is the digest of what a topic must show of an event.
func (d *digests) content(e *eventstore.Recorded) uint64 {
	b := d.buf[:0]
	for _, part := range [...]string{e.Stream, e.Type} {
		b = binary.AppendUvarint(b, uint64(len(part)))
		b = append(b, part...)
	}
	b = binary.AppendVarint(b, e.Version)
	b = binary.AppendVarint(b, int64(e.SchemaVersion))
	b = binary.AppendUvarint(b, uint64(len(e.Data)))
	b = append(b, e.Data...)
	d.buf = b
	return maphash.Bytes(d.seed, b)
}

func (d *digests) hash(e *eventstore.Recorded) uint32 {
	if len(e.Hash) == 0 {
		return 0
	}
	return uint32(maphash.Bytes(d.seed, e.Hash)) | 1
}

// ordinal is the place of a position among the events, or false if the log has no such position.
func (d *digests) ordinal(position int64) (int64, bool) {
	next := sort.Search(len(d.jumps), func(i int) bool { return d.jumps[i].position > position })
	n := position - 1
	if next > 0 {
		n -= d.jumps[next-1].shift
	}
	if n < 0 || n >= d.count || d.position(n) != position {
		return 0, false
	}
	return n, true
}

// position is the position of an ordinal.
func (d *digests) position(ordinal int64) int64 {
	next := sort.Search(len(d.jumps), func(i int) bool { return d.jumps[i].position-d.jumps[i].shift-1 > ordinal })
	if next == 0 {
		return ordinal + 1
	}
	return ordinal + 1 + d.jumps[next-1].shift
}

// see marks an event as seen and reports whether it was seen before.
func (d *digests) see(ordinal int64) bool {
	word, bit := &d.seen[ordinal/digestChunk][ordinal%digestChunk/64], uint64(1)<<(ordinal%64)
	before := *word&bit != 0
	*word |= bit
	return before
}

// missing are the positions of the first few events that were not seen, and how many were not.
func (d *digests) missing(limit int) (first []int64, count int64) {
	for n := range d.count {
		if d.seen[n/digestChunk][n%digestChunk/64]&(1<<(n%64)) != 0 {
			continue
		}
		count++
		if len(first) < limit {
			first = append(first, d.position(n))
		}
	}
	return first, count
}
