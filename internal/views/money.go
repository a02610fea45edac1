package views

import (
	"fmt"
	"strconv"
	"strings"

	"boxoffice/domain"
)

// Price writes an amount as people of its currency do where we know it: Rp150.000, 1,234.50 EUR.
func Price(m domain.Money) string {
	if m.Currency == "IDR" {
		return "Rp" + grouped(m.Amount, ".")
	}
	exponent, known := domain.Exponent(m.Currency)
	if !known || exponent == 0 {
		return Count(m.Amount) + " " + m.Currency
	}
	unit := int64(1)
	for range exponent {
		unit *= 10
	}
	return fmt.Sprintf("%s.%0*d %s", Count(m.Amount/unit), exponent, m.Amount%unit, m.Currency)
}

// Count writes a number with commas: 12,345.
func Count(n int64) string { return grouped(n, ",") }

func grouped(n int64, separator string) string {
	digits := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, digits = "-", digits[1:]
	}
	var parts []string
	for len(digits) > 3 {
		parts = append([]string{digits[len(digits)-3:]}, parts...)
		digits = digits[:len(digits)-3]
	}
	return sign + strings.Join(append([]string{digits}, parts...), separator)
}
