package eventstore

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Forgetting reads the contacts and deliveries themselves, not a read model: one may be behind, or have left an
// order out because its stream could not be folded. Every page is a transaction of its own.
const forgetPage = MaxPage // positions of the log

// wordsKept is the most names and addresses that are looked for in deliveries.
const wordsKept = 1_000

// Traces are what the store has of one customer. The zero value is nothing.
type Traces struct {
	Contacts   []int64         // positions of the rows of contacts that name the customer
	deliveries []deliveryKey   // those with a word of the customer in them
	words      map[string]bool // id, e-mail addresses and names
}

// Deliveries is how many of the gateways' deliveries name the customer.
func (t Traces) Deliveries() int { return len(t.deliveries) }

// deliveryKey is the key of a row of deliveries.
type deliveryKey struct {
	position       int64
	gateway, named string
}

// Trace finds what names the customer with this id, whose customerRef is ref, up to the head of the log as it is
// now. progress, which may be nil, hears how far that is.
func (s *Store) Trace(ctx context.Context, id, ref string, progress func(position, head int64)) (Traces, error) {
	head, err := s.Head(ctx)
	if err != nil {
		return Traces{}, err
	}
	t := Traces{words: map[string]bool{id: true}}
	for _, look := range []func(ctx context.Context, after, to int64) error{
		func(ctx context.Context, after, to int64) error { return s.traceContacts(ctx, &t, ref, after, to) },
		func(ctx context.Context, after, to int64) error { return s.traceDeliveries(ctx, &t, after, to) },
	} {
		for after := int64(0); after < head.Position; after += forgetPage {
			if err := look(ctx, after, min(after+forgetPage, head.Position)); err != nil {
				return Traces{}, err
			}
			if progress != nil {
				progress(after, head.Position)
			}
		}
	}
	return t, nil
}

func (s *Store) traceContacts(ctx context.Context, t *Traces, ref string, after, to int64) error {
	var rows []Contact
	if err := s.db.SelectContext(ctx, &rows, `SELECT position, customer_ref, customer_id, email, name FROM contacts
		WHERE position > $1 AND position <= $2 AND customer_ref = $3 AND customer_id || email || name <> '' ORDER BY position`,
		after, to, ref); err != nil {
		return fmt.Errorf("look for contacts after %d: %w", after, err)
	}
	for _, row := range rows {
		t.Contacts = append(t.Contacts, row.Position)
		for _, word := range []string{row.CustomerID, row.Email, row.Name} {
			if word != "" && len(t.words) < wordsKept {
				t.words[word] = true
			}
		}
	}
	return nil
}

func (s *Store) traceDeliveries(ctx context.Context, t *Traces, after, to int64) error {
	rows, err := s.db.QueryContext(ctx, `SELECT position, gateway, delivery_id, body FROM deliveries
		WHERE position > $1 AND position <= $2 AND body <> ''`, after, to)
	if err != nil {
		return fmt.Errorf("look for deliveries after %d: %w", after, err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var key deliveryKey
		var body []byte
		if err := rows.Scan(&key.position, &key.gateway, &key.named, &body); err != nil {
			return fmt.Errorf("look for deliveries after %d: %w", after, err)
		}
		if t.named(body) {
			t.deliveries = append(t.deliveries, key)
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("look for deliveries after %d: %w", after, err)
	}
	return nil
}

// named reports whether a delivery has a value that is one of the customer's words, or an address within a text.
// What is not JSON must not have a word anywhere.
func (t Traces) named(body []byte) bool {
	var content any
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	if decoder.Decode(&content) == nil {
		return t.within(content)
	}
	for word := range t.words {
		if bytes.Contains(body, []byte(word)) {
			return true
		}
	}
	return false
}

func (t Traces) within(content any) bool {
	switch content := content.(type) {
	case string:
		if t.words[content] {
			return true
		}
		lower := strings.ToLower(content)
		for word := range t.words {
			if strings.Contains(word, "@") && strings.Contains(lower, strings.ToLower(word)) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(content, t.within)
	case map[string]any:
		for key, value := range content {
			// A number is mostly an amount, whoever's id it is too.
			if number, is := value.(json.Number); is && t.words[number.String()] && personal(key) {
				return true
			}
			if t.within(key) || t.within(value) {
				return true
			}
		}
	}
	return false
}

// personal reports whether a member of a delivery may name somebody, by its name.
func personal(member string) bool {
	member = strings.ToLower(member)
	return slices.ContainsFunc([]string{"name", "user", "customer", "buyer", "payer", "client", "account", "phone", "mail"},
		func(word string) bool { return strings.Contains(member, word) })
}

// Forget blanks what Trace found: id, e-mail address and name of contacts, and whole deliveries. Deliveries come
// first, so that a run that is interrupted can be repeated: contacts tell the words that deliveries are known by.
func (s *Store) Forget(ctx context.Context, t Traces) error {
	for page := range slices.Chunk(t.deliveries, MaxPage) {
		positions := make([]int64, len(page))
		gateways, ids := make([]string, len(page)), make([]string, len(page))
		for i, key := range page {
			positions[i], gateways[i], ids[i] = key.position, key.gateway, key.named
		}
		if _, err := s.db.ExecContext(ctx, `UPDATE deliveries AS d SET body = ''
			FROM unnest($1::bigint[], $2::text[], $3::text[]) AS k (position, gateway, delivery_id)
			WHERE d.position = k.position AND d.gateway = k.gateway AND d.delivery_id = k.delivery_id`,
			Int8Array(positions), TextArray(gateways), TextArray(ids)); err != nil {
			return fmt.Errorf("blank %d deliveries: %w", len(page), err)
		}
	}
	for page := range slices.Chunk(t.Contacts, MaxPage) {
		if _, err := s.db.ExecContext(ctx, `UPDATE contacts SET customer_id = '', email = '', name = ''
			WHERE position = ANY($1::bigint[])`, Int8Array(page)); err != nil {
			return fmt.Errorf("blank %d contacts: %w", len(page), err)
		}
	}
	return nil
}
