package payments_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"boxoffice/internal/payments"
)

// The vector that the reference libraries of Standard Webhooks share.
const (
	vectorSecret    = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	vectorID        = "msg_p5jXN8AQM9LWM0D4loKWxJek"
	vectorTime      = 1614265330
	vectorBody      = `{"test": 2432232314}`
	vectorSignature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
)

func secret(t testing.TB, text string) payments.Secret {
	t.Helper()
	s, err := payments.ParseSecret(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func otherSecret(t testing.TB) payments.Secret {
	t.Helper()
	return secret(t, "whsec_"+base64.StdEncoding.EncodeToString([]byte(strings.Repeat("other", 6))))
}

func at(seconds int64) func() time.Time { return func() time.Time { return time.Unix(seconds, 0) } }

func signed(t testing.TB) http.Header {
	t.Helper()
	header := http.Header{}
	secret(t, vectorSecret).Sign(header, vectorID, time.Unix(vectorTime, 0), []byte(vectorBody))
	return header
}

func TestSign(t *testing.T) {
	t.Parallel()
	if got := signed(t).Get(payments.HeaderSignature); got != vectorSignature {
		t.Errorf("signature %s, want the published %s", got, vectorSignature)
	}
}

func TestVerify(t *testing.T) {
	t.Parallel()
	const others = "v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
	set := func(name, value string) func(http.Header) {
		return func(h http.Header) { h.Set(name, value) }
	}
	for name, c := range map[string]struct {
		change func(http.Header)
		now    int64
		good   bool
	}{
		"as it was sent":                   {nil, vectorTime, true},
		"300 s later":                      {nil, vectorTime + 300, true},
		"300 s before it was sent":         {nil, vectorTime - 300, true},
		"301 s later":                      {nil, vectorTime + 301, false},
		"301 s before it was sent":         {nil, vectorTime - 301, false},
		"behind another signature":         {set(payments.HeaderSignature, others+" "+vectorSignature), vectorTime, true},
		"before a signature of v1a":        {set(payments.HeaderSignature, vectorSignature+" v1a,AAAA"), vectorTime, true},
		"with another signature":           {set(payments.HeaderSignature, others), vectorTime, false},
		"with another scheme":              {set(payments.HeaderSignature, "v9"+vectorSignature[2:]), vectorTime, false},
		"with an empty signature":          {set(payments.HeaderSignature, ""), vectorTime, false},
		"without the scheme":               {set(payments.HeaderSignature, vectorSignature[3:]), vectorTime, false},
		"with a comma between signatures":  {set(payments.HeaderSignature, others+","+vectorSignature), vectorTime, false},
		"without an id":                    {func(h http.Header) { h.Del(payments.HeaderID) }, vectorTime, false},
		"without a time":                   {func(h http.Header) { h.Del(payments.HeaderTimestamp) }, vectorTime, false},
		"without a signature":              {func(h http.Header) { h.Del(payments.HeaderSignature) }, vectorTime, false},
		"with another id":                  {set(payments.HeaderID, "msg_2"), vectorTime, false},
		"with two ids":                     {func(h http.Header) { h.Add(payments.HeaderID, vectorID) }, vectorTime, false},
		"with another time":                {set(payments.HeaderTimestamp, fmt.Sprint(vectorTime+1)), vectorTime, false},
		"with a time that is no number":    {set(payments.HeaderTimestamp, "now"), vectorTime, false},
		"with a time of the year 10^11":    {set(payments.HeaderTimestamp, "9223372036854775807"), vectorTime, false},
		"with the same time spelled oddly": {set(payments.HeaderTimestamp, "+1614265330"), vectorTime, false},
	} {
		t.Run("a delivery "+name, func(t *testing.T) {
			t.Parallel()
			header := signed(t)
			if c.change != nil {
				c.change(header)
			}
			id, err := payments.NewVerifier(at(c.now), secret(t, vectorSecret)).Verify([]byte(vectorBody), header)
			if c.good && (err != nil || id != vectorID) {
				t.Errorf("id %q, error %v, want it taken", id, err)
			}
			if !c.good && !errors.Is(err, payments.ErrSignature) {
				t.Errorf("id %q, error %v, want %v", id, err, payments.ErrSignature)
			}
		})
	}

	t.Run("either secret is good while one takes the other's place", func(t *testing.T) {
		t.Parallel()
		header, body := signed(t), []byte(vectorBody)
		rotating := payments.NewVerifier(at(vectorTime), otherSecret(t), secret(t, vectorSecret))
		if _, err := rotating.Verify(body, header); err != nil {
			t.Errorf("the old secret: %v", err)
		}
		otherSecret(t).Sign(header, vectorID, time.Unix(vectorTime, 0), body)
		if _, err := rotating.Verify(body, header); err != nil {
			t.Errorf("the new secret: %v", err)
		}
		if _, err := payments.NewVerifier(at(vectorTime), secret(t, vectorSecret)).Verify(body, header); err == nil {
			t.Error("a secret that is not configured was taken")
		}
	})

	t.Run("without a secret nothing is taken", func(t *testing.T) {
		t.Parallel()
		if _, err := payments.NewVerifier(at(vectorTime)).Verify([]byte(vectorBody), signed(t)); err == nil {
			t.Error("it was taken")
		}
	})
}

func TestVerifyRefusesWhatWasChanged(t *testing.T) {
	t.Parallel()
	const changes = 10_000
	verifier := payments.NewVerifier(at(vectorTime), secret(t, vectorSecret), otherSecret(t))
	random := rand.New(rand.NewPCG(1, 2))
	for n := range changes {
		header, body := signed(t), []byte(vectorBody)
		var what string
		switch n % 4 {
		case 0:
			what, body = "body", []byte(mutate(random, vectorBody))
		case 1:
			what = payments.HeaderSignature
		case 2:
			what = payments.HeaderID
		case 3:
			what = payments.HeaderTimestamp
		}
		if what != "body" {
			header.Set(what, mutate(random, header.Get(what)))
		}
		if _, err := verifier.Verify(body, header); !errors.Is(err, payments.ErrSignature) {
			t.Fatalf("change %d, of the %s, gave %v: %q %q", n, what, err, header, body)
		}
	}
}

// mutate changes, takes away, doubles or inserts one byte.
func mutate(random *rand.Rand, text string) string {
	for {
		b := []byte(text)
		i, c := random.IntN(len(b)), byte(random.IntN(256))
		switch random.IntN(4) {
		case 0:
			b[i] = c
		case 1:
			b = append(b[:i], b[i+1:]...)
		case 2:
			b = append(b[:i+1], b[i:]...)
		default:
			b = append(b[:i], append([]byte{c}, b[i:]...)...)
		}
		// A blank only divides signatures.
		if strings.TrimSpace(string(b)) != text {
			return string(b)
		}
	}
}

func TestParseSecrets(t *testing.T) {
	t.Parallel()
	short := "whsec_" + base64.StdEncoding.EncodeToString([]byte("twenty-three bytes long"))
	for name, c := range map[string]struct {
		text string
		n    int // 0: refused
	}{
		"one":                {vectorSecret, 1},
		"two":                {vectorSecret + ", " + vectorSecret, 2},
		"three":              {vectorSecret + "," + vectorSecret + "," + vectorSecret, 0},
		"none":               {"", 0},
		"a short one":        {short, 0},
		"one without prefix": {strings.TrimPrefix(vectorSecret, "whsec_"), 0},
		"no base64":          {"whsec_***", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			secrets, err := payments.ParseSecrets(c.text)
			if (err == nil) != (c.n > 0) || len(secrets) != c.n {
				t.Errorf("%d secrets, error %v, want %d", len(secrets), err, c.n)
			}
			if shown := fmt.Sprintf("%v %+v %#v %s", secrets, secrets, secrets, secrets); strings.Contains(shown, "MfKQ") || strings.Contains(shown, "0x") {
				t.Errorf("the secret shows: %s", shown)
			}
		})
	}
}
