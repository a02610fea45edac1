package domain

import (
	"errors"
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

// Sums and products are right or refused, never wrapped.
func TestMoneyNeverWraps(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.Int64().Draw(t, "a"), rapid.Int64().Draw(t, "b")
		sum, err := Money{a, "IDR"}.Plus(Money{b, "IDR"})
		compareExact(t, new(big.Int).Add(big.NewInt(a), big.NewInt(b)), sum, err)
		if b < 0 {
			return
		}
		product, err := Money{a, "IDR"}.Times(b)
		compareExact(t, new(big.Int).Mul(big.NewInt(a), big.NewInt(b)), product, err)
	})
}

func compareExact(t *rapid.T, want *big.Int, got Money, err error) {
	t.Helper()
	if want.IsInt64() != (err == nil) || err == nil && got.Amount != want.Int64() {
		t.Fatalf("got %v, %v, want %v", got, err, want)
	}
}

func TestMoney(t *testing.T) {
	t.Parallel()
	_, err := Money{1, "IDR"}.Plus(Money{1, "USD"})
	wantEqual(t, errors.Is(err, ErrCurrency), true)
	_, err = Money{1, "IDR"}.Times(-1)
	wantEqual(t, errors.Is(err, ErrOverflow), true)
	_, err = Money{math.MinInt64, "IDR"}.Times(2)
	wantEqual(t, errors.Is(err, ErrOverflow), true)
	decimals, known := Exponent("IDR")
	wantEqual(t, known && decimals == 0, true)
	_, known = Exponent("XXX")
	wantEqual(t, known, false)
}
