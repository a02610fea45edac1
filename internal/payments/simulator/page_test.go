package simulator_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"boxoffice/domain"
	"boxoffice/internal/payments"
	"boxoffice/internal/payments/simulator"
)

const (
	salesKey = "0123456789abcdef0123456789abcdef"
	readKey  = "fedcba9876543210fedcba9876543210"
)

func ask(handler http.Handler, method, path, contentType, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w
}

func TestPage(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	paymentID, handler := s.charged(domain.QRIS), s.handler()
	path := "/simulator/payments/" + paymentID

	t.Run("shows the payment, its code and three buttons", func(t *testing.T) {
		w := ask(handler, http.MethodGet, path, "", "")
		text := w.Body.String()
		if w.Code != http.StatusOK || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") {
			t.Fatalf("answer %d %v", w.Code, w.Header())
		}
		for _, part := range []string{"IDR 300,000", paymentID, "<path fill=\"#000\"", `value="SUCCESS"`, `value="FAILED"`, `value="EXPIRE"`} {
			if !strings.Contains(text, part) {
				t.Errorf("the page has no %s", part)
			}
		}
	})

	t.Run("has nothing that its policy forbids", func(t *testing.T) {
		w := ask(handler, http.MethodGet, path, "", "")
		policy := w.Header().Get("Content-Security-Policy")
		if !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") {
			t.Errorf("policy %q", policy)
		}
		for _, part := range []string{"<script", "style=", "<style", "onclick", "javascript:"} {
			if strings.Contains(w.Body.String(), part) {
				t.Errorf("the page has %s", part)
			}
		}
	})

	t.Run("shows only words of ours", func(t *testing.T) {
		w := ask(handler, http.MethodGet, path+"?told="+url.QueryEscape(`<script>alert(1)</script>`), "", "")
		if strings.Contains(w.Body.String(), "alert") {
			t.Error("it shows what the address says")
		}
	})

	t.Run("waits a moment for a payment that is charged only now", func(t *testing.T) {
		r := request(7, domain.QRIS, 300_000)
		answered := make(chan int, 1)
		go func() { answered <- ask(handler, http.MethodGet, "/simulator/payments/"+r.PaymentID, "", "").Code }()
		<-time.After(200 * time.Millisecond) // whoever does not wait has answered
		if _, err := s.Charge(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		if code := <-answered; code != http.StatusOK {
			t.Errorf("answer %d", code)
		}
	})

	t.Run("is not there for a payment that was not charged", func(t *testing.T) {
		if w := ask(handler, http.MethodGet, "/simulator/payments/PAY-unknown-1", "", ""); w.Code != http.StatusNotFound {
			t.Errorf("answer %d", w.Code)
		}
	})
}

func TestPost(t *testing.T) {
	t.Parallel()
	const form, object = "application/x-www-form-urlencoded", "application/json"

	t.Run("a button reports and comes back to the page", func(t *testing.T) {
		t.Parallel()
		s := newStand(t)
		paymentID := s.charged(domain.QRIS)
		path := "/simulator/payments/" + paymentID
		w := ask(s.handler(), http.MethodPost, path, form, "status=SUCCESS&amount=&repeat=2&delayMs=0&reference=")
		if w.Code != http.StatusSeeOther || w.Header().Get("Location") != path+"?told=SUCCESS" || s.queued() != 2 {
			t.Errorf("answer %d %v, %d queued", w.Code, w.Header(), s.queued())
		}
		if s.state(paymentID) != payments.Paid {
			t.Errorf("state %s", s.state(paymentID))
		}
	})

	t.Run("a machine reports by JSON", func(t *testing.T) {
		t.Parallel()
		s := newStand(t)
		path := "/simulator/payments/" + s.charged(domain.QRIS)
		w := ask(s.handler(), http.MethodPost, path, object, `{"status":"SUCCESS","amount":5,"repeat":3,"delayMs":10}`)
		if w.Code != http.StatusAccepted || s.queued() != 3 || !strings.Contains(w.Body.String(), `"deliveries":3`) {
			t.Errorf("answer %d %s, %d queued", w.Code, w.Body, s.queued())
		}
	})

	for name, c := range map[string]struct{ kind, body string }{
		"no status":               {object, `{}`},
		"an unknown status":       {object, `{"status":"MAYBE"}`},
		"21 repeats":              {object, `{"status":"SUCCESS","repeat":21}`},
		"no repeats":              {object, `{"status":"SUCCESS","repeat":0}`},
		"a delay of 60,001 ms":    {object, `{"status":"SUCCESS","delayMs":60001}`},
		"a negative amount":       {object, `{"status":"SUCCESS","amount":-1}`},
		"a very negative amount":  {object, `{"status":"SUCCESS","amount":-2}`},
		"an amount with decimals": {object, `{"status":"SUCCESS","amount":1.5}`},
		"an unknown field":        {object, `{"status":"SUCCESS","surprise":1}`},
		"text":                    {object, `hello`},
		"a form without status":   {form, `repeat=1`},
		"a form with 21 repeats":  {form, `status=SUCCESS&repeat=21`},
		"a form with -1 rupiah":   {form, `status=SUCCESS&amount=-1`},
		"a form with half rupiah": {form, `status=SUCCESS&amount=1.5`},
		"a broken form":           {form, `status=%zz`},
	} {
		t.Run(name+" is refused", func(t *testing.T) {
			t.Parallel()
			s := newStand(t)
			path := "/simulator/payments/" + s.charged(domain.QRIS)
			w := ask(s.handler(), http.MethodPost, path, c.kind, c.body)
			if w.Code != http.StatusBadRequest || s.queued() != 0 {
				t.Errorf("answer %d %s, %d queued", w.Code, w.Body, s.queued())
			}
			if want := map[string]string{object: "application/problem+json", form: "text/html; charset=utf-8"}[c.kind]; w.Header().Get("Content-Type") != want {
				t.Errorf("content type %s, want %s", w.Header().Get("Content-Type"), want)
			}
		})
	}

	t.Run("a payment that was not charged is not found", func(t *testing.T) {
		t.Parallel()
		s := newStand(t)
		w := ask(s.handler(), http.MethodPost, "/simulator/payments/PAY-unknown-1", object, `{"status":"SUCCESS"}`)
		if w.Code != http.StatusNotFound {
			t.Errorf("answer %d", w.Code)
		}
	})

	t.Run("where it is not open, only operators who sell may report", func(t *testing.T) {
		t.Parallel()
		s := newStand(t, func(c *simulator.Config) { c.Open = false })
		path, handler := "/simulator/payments/"+s.charged(domain.QRIS), s.handler()
		for _, c := range []struct {
			key  string
			want int
		}{
			{"", http.StatusUnauthorized},
			{"wrong", http.StatusUnauthorized},
			{readKey, http.StatusForbidden},
			{salesKey, http.StatusAccepted},
		} {
			if w := ask(handler, http.MethodPost, path, object, `{"status":"SUCCESS"}`, "Authorization", "Bearer "+c.key); w.Code != c.want {
				t.Errorf("with key %q: answer %d, want %d", c.key, w.Code, c.want)
			}
		}
		for key, want := range map[string]int{"": http.StatusUnauthorized, readKey: http.StatusOK} {
			if w := ask(handler, http.MethodGet, path, "", "", "Authorization", "Bearer "+key); w.Code != want {
				t.Errorf("the page with key %q: answer %d, want %d", key, w.Code, want)
			}
		}
	})

	t.Run("a page of another site can't report", func(t *testing.T) {
		t.Parallel()
		s := newStand(t)
		path := "/simulator/payments/" + s.charged(domain.QRIS)
		w := ask(s.handler(), http.MethodPost, path, form, "status=SUCCESS", "Sec-Fetch-Site", "cross-site")
		if w.Code != http.StatusForbidden || s.queued() != 0 {
			t.Errorf("answer %d, %d queued", w.Code, s.queued())
		}
	})
}
