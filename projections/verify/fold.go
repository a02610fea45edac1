package verify

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"hash/maphash"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"

	"boxoffice/eventstore"
)

// Prefixes of the streams' names.
const (
	showPrefix    = "show-"
	orderPrefix   = "order-"
	paymentPrefix = "payment-"
	inboxPrefix   = "inbox-"
)

// latestSchema is the schema version of events that this program can read.
const latestSchema = 1

// fold is what the log says, as far as it was read.
type fold struct {
	found    *findings
	shows    map[int64]*show
	orders   *register[order]
	payments *register[payment]
	refunds  map[string]*refund
	items    map[string]*item
	others   map[string]*stream // streams of other kinds: the inbox
	money    map[string]*Balance
	touched  []uint32 // orders that the current append has changed

	discarded map[feed]Discarded // what operators have given up

	sales map[int64]*showSales // by show; nil: they are not counted, because the past of shows is not read whole

	orderRefunds map[uint32][]refundPart // by place of the order: what the order tells
	paidBack     map[uint32][]*refund    // by place of the order: what its payments tell
	references   map[orderMoney]struct{} // of orders that were paid more than once: all but the least
	currencies   []string                // by number; 0 is none

	seed maphash.Seed // of the sums of cells
	kept *orderCells  // keeps cells of which only sums are needed otherwise; nil unless a row is explained
}

func newFold(found *findings) *fold {
	return &fold{
		found:    found,
		shows:    map[int64]*show{},
		orders:   newRegister[order](newNames("ORDER-", false)),
		payments: newRegister[payment](newNames("PAY-", true)),
		refunds:  map[string]*refund{},
		items:    map[string]*item{},
		others:   map[string]*stream{},
		money:    map[string]*Balance{},

		discarded:    map[feed]Discarded{},
		sales:        map[int64]*showSales{},
		orderRefunds: map[uint32][]refundPart{},
		paidBack:     map[uint32][]*refund{},
		references:   map[orderMoney]struct{}{},
		currencies:   []string{""},
		seed:         maphash.MakeSeed(),
	}
}

// stream is how far a stream was read: in the log, and in its topic.
type stream struct{ version, delivered uint32 }

// event folds one event.
func (f *fold) event(e *eventstore.Recorded) {
	if e.SchemaVersion != latestSchema {
		f.wrong(KindEvent, e, "schema version %d of %s is not known here", e.SchemaVersion, e.Type)
	}
	f.follow(e)
	switch kind, id := split(e.Stream); kind {
	case showPrefix:
		f.showEvent(e, id)
	case orderPrefix:
		f.orderEvent(e, id)
	case paymentPrefix:
		f.paymentEvent(e, id)
	case inboxPrefix:
		f.inboxEvent(e)
	default:
		f.wrong(KindEvent, e, "the stream is no show's, order's, payment's or inbox")
	}
}

// follow moves an event's stream to its version.
func (f *fold) follow(e *eventstore.Recorded) {
	at := f.stream(e.Stream)
	if e.Version != int64(at.version)+1 {
		f.wrong(KindVersion, e, "version %d comes after %d", e.Version, at.version)
	}
	at.version = uint32(min(max(e.Version, 0), math.MaxUint32))
}

// split cuts a stream's name into its prefix and the id after it.
func split(name string) (prefix, id string) {
	for _, p := range [...]string{orderPrefix, paymentPrefix, showPrefix, inboxPrefix} {
		if rest, ok := strings.CutPrefix(name, p); ok {
			return p, rest
		}
	}
	return "", ""
}

// stream is the place where a stream's versions are kept; a stream that is new begins with 0.
func (f *fold) stream(name string) *stream {
	switch kind, id := split(name); kind {
	case showPrefix:
		if n, err := strconv.ParseInt(id, 10, 64); err == nil {
			return &f.show(n).stream
		}
	case orderPrefix:
		_, o := f.orders.open(id)
		return &o.stream
	case paymentPrefix:
		_, p := f.payments.open(id)
		return &p.stream
	}
	s, ok := f.others[name]
	if !ok {
		s = &stream{}
		f.others[name] = s
	}
	return s
}

// endAppend judges what must hold whenever a commit is complete.
func (f *fold) endAppend(position int64) {
	for _, place := range f.touched {
		f.orders.at(place).flags &^= touched
		f.judge(place, position)
	}
	f.touched = f.touched[:0]
}

func (f *fold) wrong(kind Kind, e *eventstore.Recorded, format string, args ...any) {
	f.found.add(kind, e.ID(), e.Position, format, args...)
}

// decode reads an event's data; what can't be read is a finding.
func (f *fold) decode(e *eventstore.Recorded, into any) bool {
	if err := json.Unmarshal(e.Data, into); err != nil {
		f.wrong(KindEvent, e, "%s can't be read: %v", e.Type, err)
		return false
	}
	return true
}

// add adds money; a sum that does not fit is a finding and stays as it was.
func (f *fold) add(sum *int64, amount int64, e *eventstore.Recorded) {
	if (amount > 0 && *sum > math.MaxInt64-amount) || (amount < 0 && *sum < math.MinInt64-amount) {
		f.wrong(KindMoney, e, "%d more than %d does not fit", amount, *sum)
		return
	}
	*sum += amount
}

// currency is the number of a currency.
func (f *fold) currency(name string) uint16 {
	for i, known := range f.currencies {
		if known == name {
			return uint16(i)
		}
	}
	if len(f.currencies) > math.MaxUint16 {
		return 0
	}
	f.currencies = append(f.currencies, name)
	return uint16(len(f.currencies) - 1)
}

func (f *fold) balance(currency string) *Balance {
	b, ok := f.money[currency]
	if !ok {
		b = &Balance{Currency: currency}
		f.money[currency] = b
	}
	return b
}

func (f *fold) balances() []Balance {
	out := []Balance{}
	for _, b := range f.money {
		out = append(out, *b)
	}
	slices.SortFunc(out, func(a, b Balance) int { return strings.Compare(a.Currency, b.Currency) })
	return out
}

type money struct {
	Amount   int64  `json:"amount"`
	Currency string `json:"currency"`
}

func (m money) String() string { return fmt.Sprintf("%d %s", m.Amount, m.Currency) }

// digest is 8 bytes that stand for a text; 0 stands for none.
type digest uint64

func digestOf(text string) digest {
	if text == "" {
		return 0
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(text))
	return digest(h.Sum64() | 1)
}

// line is a number of tickets of one type, and what one of them costs where that is told.
type line struct {
	TicketTypeID int64 `json:"ticketTypeId"`
	Quantity     int64 `json:"quantity"`
	UnitPrice    int64 `json:"unitPrice"`
}

// linesOf is the digest of lines without their prices, whatever their order, and the number of tickets.
func linesOf(lines []line) (digest, int64) { return sumLines(lines, false) }

// pricedLinesOf is the digest of lines with their prices, whatever their order.
func pricedLinesOf(lines []line) digest {
	told, _ := sumLines(lines, true)
	return told
}

func sumLines(lines []line, priced bool) (digest, int64) {
	if len(lines) > 1 {
		lines = slices.Clone(lines)
		slices.SortFunc(lines, func(a, b line) int {
			switch {
			case a.TicketTypeID < b.TicketTypeID:
				return -1
			case a.TicketTypeID > b.TicketTypeID:
				return 1
			}
			return 0
		})
	}
	h := fnv.New64a()
	var quantity int64
	var b [24]byte
	for _, l := range lines {
		binary.BigEndian.PutUint64(b[:8], uint64(l.TicketTypeID))
		binary.BigEndian.PutUint64(b[8:16], uint64(l.Quantity))
		binary.BigEndian.PutUint64(b[16:], uint64(l.UnitPrice))
		if _, _ = h.Write(b[:16]); priced {
			_, _ = h.Write(b[16:])
		}
		quantity += l.Quantity
	}
	return digest(h.Sum64() | 1), quantity
}
