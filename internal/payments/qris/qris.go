// Package qris writes and reads the codes of QRIS, Indonesia's standard for payments by QR code: the
// merchant-presented form of EMVCo, one field after another as tag, length and value, closed by a checksum.
package qris

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Tags of the fields that a dynamic code has.
const (
	TagFormat       = "00" // always 01
	TagInitiation   = "01" // 12: a code for one payment
	TagAccount      = "26" // template: the merchant at its acquirer
	TagNational     = "51" // template: the merchant in the national register
	TagCategory     = "52" // ISO 18245
	TagCurrency     = "53" // ISO 4217 number
	TagAmount       = "54"
	TagCountry      = "58" // ISO 3166
	TagMerchant     = "59"
	TagCity         = "60"
	TagPostalCode   = "61"
	TagAdditional   = "62" // template: see TagReference
	TagChecksum     = "63"
	TagReference    = "05" // within TagAdditional
	rupiah          = "360"
	indonesia       = "ID"
	nationalNetwork = "ID.CO.QRIS.WWW"
	oneTime         = "12"
)

// MaxAmount is the largest amount a code can ask for: 13 digits.
const MaxAmount = 9_999_999_999_999

// Limits in characters.
const (
	MaxReference  = 25
	maxName       = 25
	maxCity       = 15
	maxPostalCode = 10
	maxAccountID  = 15
	maxNetwork    = 32
	categoryLen   = 4
	checksumLen   = 4
	keptOfLongRef = 16 // of a reference that has to be shortened
)

// ErrMerchant is returned where a merchant's data does not fit a code.
var ErrMerchant = errors.New("merchant does not fit a QRIS code")

// ErrAmount is returned for an amount that a code can't ask for.
var ErrAmount = errors.New("amount can't be asked for with a QRIS code")

// Merchant is who is paid. All of it is ASCII.
type Merchant struct {
	Name       string // at most 25 characters, as the payer's app shows it
	City       string // at most 15
	PostalCode string // at most 10; may be empty
	Category   string // 4 digits of ISO 18245
	Network    string // the acquirer's reversed domain: COM.EXAMPLE.WWW
	PAN        string // the merchant's number at the acquirer, up to 19 digits
	AccountID  string // the merchant's id at the acquirer, at most 15
	NationalID string // the id in the national register: ID and 13 digits
	Size       string // class of the merchant: UMI, UKE, UME, UBE
}

// QRIS is the content of a code that asks for an amount of whole rupiah, once. The reference comes back with
// the payment; one that is longer than 25 characters is shortened to its beginning and a hash.
// Errors: ErrMerchant, ErrAmount.
func QRIS(m Merchant, amount int64, reference string) (string, error) {
	if err := m.check(); err != nil {
		return "", err
	}
	if amount < 1 || amount > MaxAmount {
		return "", fmt.Errorf("%w: %d", ErrAmount, amount)
	}
	var b builder
	b.field(TagFormat, "01")
	b.field(TagInitiation, oneTime)
	b.template(TagAccount, "00", m.Network, "01", m.PAN, "02", m.AccountID, "03", m.Size)
	b.template(TagNational, "00", nationalNetwork, "02", m.NationalID, "03", m.Size)
	b.field(TagCategory, m.Category)
	b.field(TagCurrency, rupiah)
	b.field(TagAmount, strconv.FormatInt(amount, 10))
	b.field(TagCountry, indonesia)
	b.field(TagMerchant, m.Name)
	b.field(TagCity, m.City)
	b.field(TagPostalCode, m.PostalCode)
	b.template(TagAdditional, TagReference, Reference(reference))
	b.text.WriteString(TagChecksum + "04") // part of what is summed
	b.text.WriteString(checksum(b.text.String()))
	return b.text.String(), nil
}

// Reference is a reference as it stands in a code: itself, or if it is longer than 25 characters its first 16,
// a dash and 8 digits of its hash.
func Reference(reference string) string {
	if len(reference) <= MaxReference {
		return reference
	}
	sum := sha256.Sum256([]byte(reference))
	return reference[:keptOfLongRef] + "-" + hex.EncodeToString(sum[:4])
}

func (m Merchant) check() error {
	for _, field := range []struct {
		name, value string
		least, most int
	}{
		{"name", m.Name, 1, maxName},
		{"city", m.City, 1, maxCity},
		{"postal code", m.PostalCode, 0, maxPostalCode},
		{"category", m.Category, categoryLen, categoryLen},
		{"network", m.Network, 1, maxNetwork},
		{"PAN", m.PAN, 1, 19},
		{"account id", m.AccountID, 1, maxAccountID},
		{"national id", m.NationalID, 1, 15},
		{"size", m.Size, 1, 3},
	} {
		if n := len(field.value); n < field.least || n > field.most {
			return fmt.Errorf("%w: %s has %d characters, not %d to %d", ErrMerchant, field.name, n, field.least, field.most)
		}
		if strings.ContainsFunc(field.value, func(c rune) bool { return c < ' ' || c > '~' }) {
			return fmt.Errorf("%w: %s is not ASCII", ErrMerchant, field.name)
		}
	}
	return nil
}

// builder puts fields behind one another. Empty ones are left out, as the standard asks.
type builder struct{ text strings.Builder }

// field adds one field. The callers' limits keep every value below 100 characters.
func (b *builder) field(tag, value string) {
	if value != "" {
		fmt.Fprintf(&b.text, "%s%02d%s", tag, len(value), value)
	}
}

// template adds a field that is made of fields, given as tag, value, tag, value …
func (b *builder) template(tag string, inner ...string) {
	var t builder
	for i := 0; i < len(inner); i += 2 {
		t.field(inner[i], inner[i+1])
	}
	b.field(tag, t.text.String())
}

// checksum is CRC-16/CCITT-FALSE (polynomial 0x1021, initially 0xFFFF) in four capital hex digits.
func checksum(text string) string {
	crc := uint16(0xFFFF)
	for i := range len(text) {
		crc ^= uint16(text[i]) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return fmt.Sprintf("%0*X", checksumLen, crc)
}
