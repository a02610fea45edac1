package domain

import (
	"errors"
	"math"
)

// Money is an amount in the smallest unit of its currency as gateways use it: ISO 4217 exponents,
// but IDR without decimals (150000 = Rp150.000).
type Money struct {
	Amount   int64  `json:"amount"`
	Currency string `json:"currency"`
}

// ErrOverflow is returned where a sum or product does not fit.
var ErrOverflow = errors.New("amount is too large")

// ErrCurrency is returned where two currencies meet.
var ErrCurrency = errors.New("currencies differ")

// Plus adds two amounts of one currency. Errors: ErrCurrency, ErrOverflow.
func (m Money) Plus(o Money) (Money, error) {
	if m.Currency != o.Currency {
		return Money{}, ErrCurrency
	}
	if (o.Amount > 0 && m.Amount > math.MaxInt64-o.Amount) || (o.Amount < 0 && m.Amount < math.MinInt64-o.Amount) {
		return Money{}, ErrOverflow
	}
	return Money{m.Amount + o.Amount, m.Currency}, nil
}

// Times multiplies an amount by a quantity that is not negative. Errors: ErrOverflow.
func (m Money) Times(quantity int64) (Money, error) {
	if quantity < 0 || (quantity > 0 && (m.Amount > math.MaxInt64/quantity || m.Amount < math.MinInt64/quantity)) {
		return Money{}, ErrOverflow
	}
	return Money{m.Amount * quantity, m.Currency}, nil
}

// exponents of ISO 4217 as gateways use them; IDR is the exception the contract makes.
var exponents = map[string]int{
	"AUD": 2, "BHD": 3, "BRL": 2, "CAD": 2, "CHF": 2, "CLP": 0, "CNY": 2, "CZK": 2, "DKK": 2, "EUR": 2, "GBP": 2,
	"HKD": 2, "HUF": 2, "IDR": 0, "INR": 2, "JPY": 0, "KRW": 0, "KWD": 3, "MXN": 2, "MYR": 2, "NOK": 2, "NZD": 2,
	"PHP": 2, "PLN": 2, "SAR": 2, "SEK": 2, "SGD": 2, "THB": 2, "TRY": 2, "TWD": 2, "USD": 2, "VND": 0, "ZAR": 2,
}

// Exponent is the number of decimals of a currency, and whether it is known here.
func Exponent(currency string) (int, bool) {
	e, ok := exponents[currency]
	return e, ok
}
