package eventstore

import (
	"fmt"
	"strings"
	"time"
)

// appendKind says which tables besides events an append writes. Each kind is one statement text.
type appendKind int

const (
	withContacts appendKind = 1 << iota
	withDue
	withDeliveries
	appendKinds // how many kinds there are
)

func kindOf(b *Batch) (kind appendKind) {
	if len(b.Contacts) > 0 {
		kind |= withContacts
	}
	if len(b.Due) > 0 {
		kind |= withDue
	}
	if len(b.Deliveries) > 0 {
		kind |= withDeliveries
	}
	return kind
}

// The parts of the append. Moving the head is the fence: when it moves no row, h is empty and so is
// everything selected from it. {n} stands for the number of the part's n-th parameter.
const (
	sqlHead = `WITH h AS (
	UPDATE log_head SET position = $1, time = $2, hash = $3 WHERE position = $4 AND hash = $5 RETURNING 1
)`
	sqlEvents = `, e AS (
	INSERT INTO events (position, stream, version, type, schema_version, data, metadata, recorded_at, hash)
	SELECT $4::bigint + u.n, u.stream, u.version, u.type, u.schema_version, u.data, u.metadata, $2::timestamptz,
		CASE WHEN $4::bigint + u.n = $1::bigint THEN $3::bytea END
	FROM h, unnest({1}::text[], {2}::bigint[], {3}::text[], {4}::smallint[], {5}::json[], {6}::json[])
		WITH ORDINALITY AS u(stream, version, type, schema_version, data, metadata, n)
	RETURNING 1
)`
	sqlContacts = `, c AS (
	INSERT INTO contacts (position, customer_ref, customer_id, email, name)
	SELECT u.position, u.customer_ref, u.customer_id, u.email, u.name
	FROM h, unnest({1}::bigint[], {2}::text[], {3}::text[], {4}::text[], {5}::text[])
		AS u(position, customer_ref, customer_id, email, name)
)`
	sqlDue = `, d AS (
	INSERT INTO due (show_id, at)
	SELECT u.show_id, u.at FROM h, unnest({1}::bigint[], {2}::timestamptz[]) AS u(show_id, at)
	ON CONFLICT (show_id) DO UPDATE SET at = excluded.at
), n AS (
	DELETE FROM due USING h, unnest({3}::bigint[]) AS u(show_id) WHERE due.show_id = u.show_id
)`
	sqlDeliveries = `, g AS (
	INSERT INTO deliveries (position, gateway, delivery_id, received_at, body)
	SELECT u.position, u.gateway, u.delivery_id, u.received_at, u.body
	FROM h, unnest({1}::bigint[], {2}::text[], {3}::text[], {4}::timestamptz[], {5}::bytea[])
		AS u(position, gateway, delivery_id, received_at, body)
)`
	sqlAnswer = `
SELECT count(*), (extract(epoch FROM clock_timestamp()) * 1000000)::bigint FROM e`
)

// sql is the statement of this kind; encode gives the parameters in the same order.
func (k appendKind) sql() string {
	var text strings.Builder
	parameters := 5 // of sqlHead
	part := func(sql string, count int) {
		for n := range count {
			sql = strings.ReplaceAll(sql, fmt.Sprintf("{%d}", n+1), fmt.Sprintf("$%d", parameters+n+1))
		}
		parameters += count
		text.WriteString(sql)
	}
	part(sqlHead, 0)
	part(sqlEvents, 6)
	if k&withContacts != 0 {
		part(sqlContacts, 5)
	}
	if k&withDue != 0 {
		part(sqlDue, 3)
	}
	if k&withDeliveries != 0 {
		part(sqlDeliveries, 5)
	}
	part(sqlAnswer, 0)
	return text.String()
}

const maxPooledBuffer = 4 << 20 // bytes; larger buffers are not kept

// encode adds the arrays to p's parameters. The function it returns gives their memory back; no attempt
// may be under way then, and p can't be sent any more.
func (s *Store) encode(p *pending, b *Batch) (release func()) {
	buffer, ok := s.buffers.Get().(*[]byte)
	if !ok {
		buffer = new([]byte)
	}
	a := arrays{bytes: (*buffer)[:0], ends: make([]int, 0, 20)}
	a.events(b.Events)
	if p.kind&withContacts != 0 {
		a.contacts(b.Contacts, b.Head.Position+1)
	}
	if p.kind&withDue != 0 {
		a.due(b.Due)
	}
	if p.kind&withDeliveries != 0 {
		a.deliveries(b.Deliveries, b.Head.Position+1)
	}
	p.args = a.appendTo(p.args)
	return func() {
		p.args = nil
		if cap(a.bytes) <= maxPooledBuffer {
			*buffer = a.bytes[:0]
			s.buffers.Put(buffer)
		}
	}
}

// arrays gathers several array parameters in one buffer.
type arrays struct {
	bytes []byte
	ends  []int // where each array ends
}

// appendTo adds each array as a parameter of its own. Only now, because the buffer moved as it grew.
func (a *arrays) appendTo(args []any) []any {
	start := 0
	for _, end := range a.ends {
		args = append(args, a.bytes[start:end:end])
		start = end
	}
	return args
}

// column adds an array with one element of each row.
func column[Row, Value any](a *arrays, oid uint32, rows []Row, encode func([]byte, Value) []byte, value func(*Row) Value) {
	a.bytes = beginArray(a.bytes, oid, len(rows))
	for i := range rows {
		a.bytes = encode(a.bytes, value(&rows[i]))
	}
	a.ends = append(a.ends, len(a.bytes))
}

func (a *arrays) events(rows []Event) {
	column(a, oidText, rows, appendText, func(e *Event) string { return e.Stream })
	column(a, oidInt8, rows, appendInt8, func(e *Event) int64 { return e.Version })
	column(a, oidText, rows, appendText, func(e *Event) string { return e.Type })
	column(a, oidInt2, rows, appendInt2, func(e *Event) int16 { return e.SchemaVersion })
	column(a, oidJSON, rows, appendBytes, func(e *Event) []byte { return e.Data })
	column(a, oidJSON, rows, appendBytes, func(e *Event) []byte { return e.Metadata })
}

func (a *arrays) contacts(rows []Contact, first int64) {
	column(a, oidInt8, rows, appendInt8, func(c *Contact) int64 { return first + int64(c.Index) })
	column(a, oidText, rows, appendText, func(c *Contact) string { return c.CustomerRef })
	column(a, oidText, rows, appendText, func(c *Contact) string { return c.CustomerID })
	column(a, oidText, rows, appendText, func(c *Contact) string { return c.Email })
	column(a, oidText, rows, appendText, func(c *Contact) string { return c.Name })
}

// due adds what to store and, apart from it, what to remove.
func (a *arrays) due(rows []Due) {
	var set, removed []Due
	for _, d := range rows {
		if d.At.IsZero() {
			removed = append(removed, d)
		} else {
			set = append(set, d)
		}
	}
	column(a, oidInt8, set, appendInt8, func(d *Due) int64 { return d.ShowID })
	column(a, oidTimestamptz, set, appendTime, func(d *Due) time.Time { return d.At })
	column(a, oidInt8, removed, appendInt8, func(d *Due) int64 { return d.ShowID })
}

func (a *arrays) deliveries(rows []Delivery, first int64) {
	column(a, oidInt8, rows, appendInt8, func(d *Delivery) int64 { return first + int64(d.Index) })
	column(a, oidText, rows, appendText, func(d *Delivery) string { return d.Gateway })
	column(a, oidText, rows, appendText, func(d *Delivery) string { return d.DeliveryID })
	column(a, oidTimestamptz, rows, appendTime, func(d *Delivery) time.Time { return d.ReceivedAt })
	column(a, oidBytea, rows, appendBytes, func(d *Delivery) []byte { return d.Body })
}
