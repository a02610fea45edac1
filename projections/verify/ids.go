package verify

import (
	"fmt"
	"strconv"
	"strings"
)

// key is an id in eight bytes. Ids of the usual form, day and number, are packed; others are numbered.
type key uint64

const (
	oddKey       key = 1 << 63 // marks a numbered id
	dayDigits        = 8
	numberDigits     = 8
	attemptBits      = 4
	maxAttempt       = 1<<attemptBits - 1
	maxDay           = 1<<26 - 1 // so that day, number and attempt fit into 63 bits
)

// names turns ids into keys and back.
type names struct {
	prefix  string // ORDER- or PAY-
	attempt bool   // whether an attempt follows, as in a payment's id
	odd     []string
	index   map[string]key
}

func newNames(prefix string, attempt bool) *names {
	return &names{prefix: prefix, attempt: attempt, index: map[string]key{}}
}

// of is the key of an id. Equal ids have equal keys, different ids different ones.
func (n *names) of(id string) key {
	if k, ok := n.pack(id); ok {
		return k
	}
	k, ok := n.index[id]
	if !ok {
		k = oddKey | key(len(n.odd))
		n.odd = append(n.odd, id)
		n.index[id] = k
	}
	return k
}

// text is the id of a key.
func (n *names) text(k key) string {
	if k&oddKey != 0 {
		return n.odd[k&^oddKey]
	}
	if n.attempt {
		return fmt.Sprintf("%s%08d-%08x-%d", n.prefix, k>>(32+attemptBits), uint32(k>>attemptBits), k&maxAttempt)
	}
	return fmt.Sprintf("%s%08d-%08x", n.prefix, k>>32, uint32(k))
}

// pack is strict: what it accepts, text gives back letter by letter.
func (n *names) pack(id string) (key, bool) {
	body, ok := strings.CutPrefix(id, n.prefix)
	const plain = dayDigits + 1 + numberDigits
	if !ok || len(body) < plain || body[dayDigits] != '-' {
		return 0, false
	}
	day, ok := digits(body[:dayDigits], 10)
	if !ok || day > maxDay {
		return 0, false
	}
	number, ok := digits(body[dayDigits+1:plain], 16)
	if !ok {
		return 0, false
	}
	if !n.attempt {
		return key(day<<32 | number), len(body) == plain
	}
	rest, ok := strings.CutPrefix(body[plain:], "-")
	attempt, err := strconv.Atoi(rest)
	if !ok || err != nil || attempt < 1 || attempt > maxAttempt || strconv.Itoa(attempt) != rest {
		return 0, false
	}
	return key(day<<(32+attemptBits) | number<<attemptBits | uint64(attempt)), true
}

// digits reads lower-case digits and nothing else.
func digits(text string, base int) (uint64, bool) {
	for _, c := range []byte(text) {
		if (c < '0' || c > '9') && (base != 16 || c < 'a' || c > 'f') {
			return 0, false
		}
	}
	n, err := strconv.ParseUint(text, base, 64)
	return n, err == nil
}

// register holds a T per id: in chunks, so that growing never copies.
type register[T any] struct {
	names  *names
	places map[key]uint32
	chunks [][]slot[T]
}

type slot[T any] struct {
	key   key
	value T
}

const chunkSize = 4096

func newRegister[T any](n *names) *register[T] {
	return &register[T]{names: n, places: map[key]uint32{}}
}

func (r *register[T]) count() int { return len(r.places) }

// find is the T of an id, or nil.
func (r *register[T]) find(id string) (uint32, *T) {
	place, ok := r.places[r.names.of(id)]
	if !ok {
		return 0, nil
	}
	return place, r.at(place)
}

// open is the place and the T of an id; it begins with a zero T.
func (r *register[T]) open(id string) (uint32, *T) {
	k := r.names.of(id)
	place, ok := r.places[k]
	if !ok {
		place = uint32(len(r.places))
		if place%chunkSize == 0 {
			r.chunks = append(r.chunks, make([]slot[T], chunkSize))
		}
		r.places[k] = place
		r.slot(place).key = k
	}
	return place, r.at(place)
}

func (r *register[T]) at(place uint32) *T { return &r.slot(place).value }

// id is the id of a place.
func (r *register[T]) id(place uint32) string { return r.names.text(r.slot(place).key) }

func (r *register[T]) slot(place uint32) *slot[T] {
	return &r.chunks[place/chunkSize][place%chunkSize]
}

// ticketPrefix begins a ticket's id.
const ticketPrefix = "TICKET-"

// isPartOf reports whether an id is that of an order's payment or ticket: a prefix, the order's id without its own,
// and a number from 1.
func isPartOf(orderID, prefix, id string) bool {
	rest, begins := strings.CutPrefix(id, prefix)
	rest, names := strings.CutPrefix(rest, strings.TrimPrefix(orderID, "ORDER-"))
	rest, ends := strings.CutPrefix(rest, "-")
	n, err := strconv.Atoi(rest)
	return begins && names && ends && err == nil && n > 0 && strconv.Itoa(n) == rest
}
