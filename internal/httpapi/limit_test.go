package httpapi_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"boxoffice/internal/httpapi"
)

const (
	limitPerSecond = 10
	limitBurst     = 2 * limitPerSecond
	limitOperator  = "operator-key-of-the-limit"
	limitChannel   = "channel-key-of-the-limit"
	atHome         = "203.0.113.7:4711"
	elsewhere      = "203.0.113.8:4711"
)

// limited is a handler of a route of each kind with a limit by address.
func limited(t *testing.T, more ...httpapi.Route) http.Handler {
	t.Helper()
	operators, err := httpapi.ParseOperatorKeys("ann:read:" + limitOperator)
	if err != nil {
		t.Fatal(err)
	}
	channels, err := httpapi.ParseChannelKeys("web:" + limitChannel)
	if err != nil {
		t.Fatal(err)
	}
	config := httpapi.Config{Operators: operators, Channels: channels, RateLimit: limitPerSecond}
	return handlerOf(t, config, append(more, everyKind...)...)
}

// from is a request of an address. Headers are names and values in turn.
func from(address, method, path string, headers ...string) *http.Request {
	r := httptest.NewRequest(method, path, nil)
	r.RemoteAddr = address
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return r
}

// count sends a request n times and counts the answers by status.
func count(h http.Handler, n int, r func() *http.Request) map[int]int {
	statuses := map[int]int{}
	for range n {
		statuses[send(h, r()).Code]++
	}
	return statuses
}

func TestAnAddressHasALimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := limited(t)
		ask := func(address string) func() *http.Request {
			return func() *http.Request { return from(address, "GET", "/orders/7") }
		}
		if got := count(h, limitBurst+5, ask(atHome)); got[200] != limitBurst || got[429] != 5 {
			t.Errorf("of %d requests at once came %v", limitBurst+5, got)
		}
		if got := count(h, 5, ask(elsewhere)); got[200] != 5 {
			t.Errorf("another address got %v", got)
		}
		if got := count(h, 3, func() *http.Request { return from(atHome, "GET", "/nowhere") }); got[429] != 3 {
			t.Errorf("what is not there got %v", got)
		}
		<-time.After(time.Second) // of the test's own clock
		if got := count(h, limitBurst, ask(atHome)); got[200] != limitPerSecond {
			t.Errorf("a second later came %v, want %d to be answered", got, limitPerSecond)
		}
	})
}

func TestARefusalForTheLimitHasTheFormOfItsRoute(t *testing.T) {
	t.Parallel()
	h := limited(t)
	for range limitBurst {
		send(h, from(atHome, "GET", "/orders/7"))
	}
	for _, c := range []struct{ method, path, kind, body string }{
		{"GET", "/orders/7", "application/problem+json", `"status":429`},
		{"POST", "/orders/ticket", "application/json", `{"header":{"responseCode":"99","responseMessage":"GENERIC_ERROR"},"payload":{"code":"overloaded"`},
		{"GET", "/", "text/html; charset=utf-8", "Too many requests"},
	} {
		answer := send(h, from(atHome, c.method, c.path))
		if answer.Code != http.StatusTooManyRequests || answer.Header().Get("Content-Type") != c.kind || !strings.Contains(answer.Body.String(), c.body) {
			t.Errorf("%s %s got %d %s", c.method, c.path, answer.Code, answer.Body)
		}
		if answer.Header().Get("Retry-After") != "1" {
			t.Errorf("%s %s is to come again after %q", c.method, c.path, answer.Header().Get("Retry-After"))
		}
	}
}

func TestWhoIsKnownHasNoLimit(t *testing.T) {
	t.Parallel()
	live := httpapi.Route{Method: "GET", Path: "/livez", Who: httpapi.Anyone, Unlimited: true, Handle: nothing}
	h := limited(t, live)
	const many = 10 * limitBurst
	for name, ask := range map[string]func() *http.Request{
		"an operator": func() *http.Request {
			return from(atHome, "GET", "/orders/7", "Authorization", "Bearer "+limitOperator)
		},
		"a channel": func() *http.Request {
			return from(atHome, "POST", "/orders/ticket", "Authorization", "Bearer "+limitChannel)
		},
		"a gateway that signs well": func() *http.Request { return from(atHome, "POST", "/webhooks/payment") },
		"a balancer":                func() *http.Request { return from(atHome, "GET", "/livez") },
	} {
		if got := count(h, many, ask); got[200] != many {
			t.Errorf("%s got %v", name, got)
		}
	}
	if got := send(h, from(atHome, "GET", "/orders/7")).Code; got != 200 {
		t.Errorf("they used up what others may send: %d", got)
	}
}

func TestWellSignedDeliveriesThatSayNothingToUsAreNotCounted(t *testing.T) {
	t.Parallel()
	unreadable := httpapi.Route{
		Method: "POST", Path: "/webhooks/payment/own", Who: httpapi.Gateway, Format: httpapi.Owner,
		Handle: failing(httpapi.Invalid()),
	}
	h := limited(t, unreadable)
	ask := func() *http.Request { return from(atHome, "POST", "/webhooks/payment/own") }
	if got := count(h, limitBurst+5, ask); got[400] != limitBurst+5 {
		t.Errorf("they got %v", got)
	}
	if got := send(h, from(atHome, "POST", "/webhooks/payment")).Code; got != 200 {
		t.Errorf("money reported from the same address got %d", got)
	}
}

func TestWrongKeysRunOut(t *testing.T) {
	t.Parallel()
	forged := httpapi.Route{
		Method: "POST", Path: "/webhooks/payment/own", Who: httpapi.Gateway, Format: httpapi.Owner,
		Handle: failing(httpapi.BadSignature()),
	}
	for name, guess := range map[string]func() *http.Request{
		"of operators": func() *http.Request { return from(atHome, "GET", "/orders", "Authorization", "Bearer guess") },
		"of channels":  func() *http.Request { return from(atHome, "POST", "/orders/ticket", "Authorization", "Bearer guess") },
		"of gateways":  func() *http.Request { return from(atHome, "POST", "/webhooks/payment/own") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := limited(t, forged)
				if got := count(h, limitBurst+5, guess); got[401] != limitBurst || got[429] != 5 {
					t.Errorf("guesses got %v", got)
				}
				if got := count(h, limitBurst, func() *http.Request { return from(atHome, "POST", "/webhooks/payment") }); got[200] != limitBurst {
					t.Errorf("among guesses well-signed deliveries got %v", got)
				}
				right := from(atHome, "GET", "/orders", "Authorization", "Bearer "+limitOperator)
				if got := send(h, right).Code; got != http.StatusTooManyRequests {
					t.Errorf("the right key among guesses got %d: a guesser would learn of it", got)
				}
				if got := send(h, from(elsewhere, "GET", "/orders", "Authorization", "Bearer "+limitOperator)).Code; got != 200 {
					t.Errorf("the right key from elsewhere got %d", got)
				}
				<-time.After(time.Second) // of the test's own clock
				if got := send(h, right).Code; got != 200 {
					t.Errorf("a second later the right key got %d", got)
				}
			})
		})
	}
}

func TestOnlyBadlySignedDeliveriesAreCounted(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		refusal *httpapi.Problem
		counted bool
	}{
		"a bad signature":           {httpapi.BadSignature(), true},
		"an order that is not ours": {httpapi.NotFound("order"), false},
		"nothing that can be read":  {httpapi.Invalid(), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := limited(t, httpapi.Route{
					Method: "POST", Path: "/webhooks/payment/own", Who: httpapi.Gateway, Format: httpapi.Owner, Handle: failing(c.refusal),
				})
				got := count(h, limitBurst+5, func() *http.Request { return from(atHome, "POST", "/webhooks/payment/own") })
				if late := got[http.StatusTooManyRequests]; (late == 5) != c.counted || late > 5 || got[c.refusal.Status] != limitBurst+5-late {
					t.Errorf("they got %v", got)
				}
			})
		})
	}
}

func TestKeysCanNotBeTriedWhereNoneIsAskedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := limited(t)
		guess := func() *http.Request { return from(atHome, "GET", "/", "Authorization", "Bearer guess") }
		if got := count(h, limitBurst+5, guess); got[200] != limitBurst || got[429] != 5 {
			t.Errorf("guesses got %v", got)
		}
		if got := send(h, from(atHome, "GET", "/orders", "Authorization", "Bearer "+limitOperator)).Code; got != http.StatusTooManyRequests {
			t.Errorf("the right key among guesses got %d", got)
		}
	})
}

func TestStreamsOfAnAddressAreCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const most = 100
		end := make(chan struct{})
		h := handlerOf(t, httpapi.Config{RateLimit: 2 * most}, httpapi.Route{
			Method: "GET", Path: "/long", Who: httpapi.Anyone, Stream: true,
			Handle: func(http.ResponseWriter, *http.Request) error { <-end; return nil },
		})
		for range most {
			go send(h, from(atHome, "GET", "/long"))
		}
		synctest.Wait()
		refused := send(h, from(atHome, "GET", "/long"))
		if refused.Code != http.StatusTooManyRequests || refused.Header().Get("Retry-After") == "" {
			t.Errorf("stream %d got %d %v", most+1, refused.Code, refused.Header())
		}
		go send(h, from(elsewhere, "GET", "/long"))
		end <- struct{}{}
		synctest.Wait()
		last := make(chan int)
		go func() { last <- send(h, from(atHome, "GET", "/long")).Code }()
		synctest.Wait()
		close(end)
		if got := <-last; got != 200 {
			t.Errorf("after one has ended another got %d", got)
		}
	})
}

func TestAProxyIsBelievedOnlyIfItIsTrusted(t *testing.T) {
	t.Parallel()
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	// Two requests come from the same client if the second is refused after a first that used all up.
	same := func(t *testing.T, first, second *http.Request) bool {
		h := handlerOf(t, httpapi.Config{RateLimit: 0.1, TrustedProxies: proxies}, everyKind...)
		if got := send(h, first).Code; got != 200 {
			t.Fatalf("the first got %d", got)
		}
		return send(h, second).Code == http.StatusTooManyRequests
	}
	ask := func(peer string, forwarded ...string) *http.Request {
		r := from(peer, "GET", "/orders/7")
		r.Header["X-Forwarded-For"] = forwarded
		return r
	}
	for name, c := range map[string]struct {
		first, second *http.Request
		same          bool
	}{
		"one address on two ports":                   {ask("203.0.113.7:1"), ask("203.0.113.7:2"), true},
		"two addresses":                              {ask("203.0.113.7:1"), ask("203.0.113.8:1"), false},
		"an address in two forms":                    {ask("203.0.113.7:1"), ask("[::ffff:203.0.113.7]:1"), true},
		"one household":                              {ask("[2001:db8:1:2::1]:1"), ask("[2001:db8:1:2:ffff::9]:1"), true},
		"two households":                             {ask("[2001:db8:1:2::1]:1"), ask("[2001:db8:1:3::1]:1"), false},
		"a stranger who claims to forward":           {ask("203.0.113.7:1", "198.51.100.1"), ask("203.0.113.7:1", "198.51.100.2"), true},
		"two clients behind a proxy":                 {ask("10.0.0.1:1", "198.51.100.1"), ask("10.0.0.1:1", "198.51.100.2"), false},
		"one client behind two proxies":              {ask("10.0.0.1:1", "198.51.100.1"), ask("10.0.0.2:1", "198.51.100.1"), true},
		"one client behind a chain":                  {ask("10.0.0.1:1", "198.51.100.1, 10.9.9.9"), ask("[fd00::1]:1", "198.51.100.1"), true},
		"a client that forges what stands before it": {ask("10.0.0.1:1", "1.1.1.1, 198.51.100.1"), ask("10.0.0.1:1", "2.2.2.2, 198.51.100.1"), true},
		"a header in two lines":                      {ask("10.0.0.1:1", "1.1.1.1", "198.51.100.1"), ask("10.0.0.1:1", "2.2.2.2", "198.51.100.1"), true},
		"an address with a port":                     {ask("10.0.0.1:1", "198.51.100.1:5555"), ask("10.0.0.1:1", "198.51.100.1"), true},
		"nonsense is the proxy itself":               {ask("10.0.0.1:1", "unknown"), ask("10.0.0.1:1", "198.51.100.1, _hidden"), true},
		"a proxy that forwards nobody":               {ask("10.0.0.1:1"), ask("10.0.0.2:1"), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := same(t, c.first, c.second); got != c.same {
				t.Errorf("one client: %t, want %t", got, c.same)
			}
		})
	}
}
