package domain

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	maxName      = 200 // characters of a name or a venue
	maxZone      = 64  // characters of a time zone's name
	qrisCurrency = "IDR"
)

// typeField points to a ticket type in the body of CreateShow.
func typeField(i int) string { return "/ticketTypes/" + strconv.Itoa(i) }

// checkShow judges all of a new show but its ticket types one by one, and returns its payment methods.
func checkShow(c CreateShow) ([]PaymentMethod, error) {
	if c.ShowID < 1 {
		return nil, invalid("/showId", "A show's id is a positive number.")
	}
	if err := checkDescription(c.Name, c.Venue, storable(c.StartsAt)); err != nil {
		return nil, err
	}
	if !looksLikeZone(c.TimeZone) {
		return nil, invalid("/timeZone", "The time zone must be an IANA name such as Asia/Jakarta.")
	}
	if _, ok := Exponent(c.Currency); !ok {
		return nil, invalid("/currency", "%q is no currency that is known here.", c.Currency)
	}
	if len(c.TicketTypes) == 0 || len(c.TicketTypes) > MaxTicketTypes {
		return nil, invalid("/ticketTypes", "A show has between 1 and %d ticket types.", MaxTicketTypes)
	}
	return checkMethods(c.Currency, c.PaymentMethods)
}

// checkDescription judges what ShowChanged carries.
func checkDescription(name, venue string, startsAt time.Time) error {
	if err := checkText("/name", "name", name, 1, maxName); err != nil {
		return err
	}
	if err := checkText("/venue", "venue", venue, 1, maxName); err != nil {
		return err
	}
	if startsAt.IsZero() {
		return invalid("/startsAt", "The time at which the show starts is missing or out of range.")
	}
	return nil
}

// checkTicketType judges a ticket type; at points to it in the body.
func checkTicketType(t TicketType, at string) error {
	if t.TicketTypeID < 1 {
		return invalid(at+"/ticketTypeId", "A ticket type's id is a positive number.")
	}
	if err := checkText(at+"/name", "name", t.Name, 1, maxName); err != nil {
		return err
	}
	for _, n := range [...]struct {
		field      string
		value      int64
		least, top int64
	}{
		{"/price", t.Price, 1, MaxPrice},
		{"/capacity", t.Capacity, 0, MaxCapacity},
		{"/maxPerOrder", t.MaxPerOrder, 1, MaxQuantity},
		{"/maxPerCustomer", t.MaxPerCustomer, 0, MaxCapacity},
	} {
		if n.value < n.least || n.value > n.top {
			return invalid(at+n.field, "The %s must be between %d and %d.", n.field[1:], n.least, n.top)
		}
	}
	if !t.SalesFrom.Equal(storable(t.SalesFrom)) {
		return invalid(at+"/salesFrom", "The begin of sales is out of range.")
	}
	if !t.SalesTo.Equal(storable(t.SalesTo)) {
		return invalid(at+"/salesTo", "The end of sales is out of range.")
	}
	if !t.SalesTo.IsZero() && !t.SalesFrom.Before(t.SalesTo) {
		return invalid(at+"/salesTo", "Sales must end after they begin.")
	}
	return nil
}

// checkText judges a text by its characters. Blanks alone are no text.
func checkText(field, what, text string, least, most int) error {
	if !storableText(text) {
		return invalid(field, "The %s must be text.", what)
	}
	if n := utf8.RuneCountInString(text); n > most || utf8.RuneCountInString(strings.TrimSpace(text)) < least {
		return invalid(field, "The %s must have between %d and %d characters.", what, least, most)
	}
	return nil
}

// looksLikeZone judges the form of a time zone's name. Whether the zone exists is a look-up on the machine
// and not for the rules.
func looksLikeZone(name string) bool {
	if name == "" || len(name) > maxZone || name == "Local" {
		return false
	}
	for _, c := range []byte(name) {
		letter := c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
		digit := c >= '0' && c <= '9'
		if !letter && !digit && !strings.ContainsRune("/_+-", rune(c)) {
			return false
		}
	}
	return true
}
