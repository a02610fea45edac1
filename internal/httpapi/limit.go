package httpapi

import (
	"hash/maphash"
	"math"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Limits of what one network address may do.
const (
	burstSeconds     = 2   // requests of this many seconds may come at once
	wrongKeysShare   = 10  // of the requests a second, this part may come with a wrong key or signature
	streamsPerClient = 100 // Server-Sent Events that are open at the same time
	streamRetry      = 5   // seconds until a stream that was refused is worth another try
	limitShards      = 64
	shardClients     = 1024 // of one generation, of which a shard has two: 131,072 addresses are known at most
)

// client is a network address as it is limited: an IPv4 address, or the first 64 bits of an IPv6 address, because a
// household has all that follow.
type client [16]byte

// limiter counts what callers without a key send. Its nil value limits nothing.
type limiter struct {
	rate    rate.Limit
	proxies []netip.Prefix
	now     func() time.Time
	seed    maphash.Seed
	shards  [limitShards]limitShard
	streams struct {
		sync.Mutex
		open map[client]int
	}
}

// limitShard holds a part of the addresses in two generations: when the younger is full it becomes the older, and
// who has not come since is forgotten.
type limitShard struct {
	sync.Mutex
	young, old map[client]*budget
}

// budget is what an address may still send.
type budget struct {
	requests rate.Limiter
	wrong    rate.Limiter // keys and signatures that are not right
}

// newLimiter limits each address to perSecond requests; 0 limits nothing. Callers that reach us through proxies are
// known by X-Forwarded-For.
func newLimiter(perSecond float64, proxies []netip.Prefix) *limiter {
	if perSecond <= 0 {
		return nil
	}
	l := &limiter{rate: rate.Limit(perSecond), proxies: proxies, now: time.Now, seed: maphash.MakeSeed()}
	for i := range l.shards {
		l.shards[i].young = map[client]*budget{}
	}
	l.streams.open = map[client]int{}
	return l
}

// budgetOf finds what the sender of a request may still send.
func (l *limiter) budgetOf(c client) *budget {
	shard := &l.shards[maphash.Bytes(l.seed, c[:])%limitShards]
	shard.Lock()
	defer shard.Unlock()
	if known, ok := shard.young[c]; ok {
		return known
	}
	if len(shard.young) >= shardClients {
		shard.old, shard.young = shard.young, make(map[client]*budget, shardClients)
	}
	known, ok := shard.old[c]
	if !ok {
		wrong := max(l.rate/wrongKeysShare, 1)
		known = &budget{requests: *rate.NewLimiter(l.rate, burst(l.rate)), wrong: *rate.NewLimiter(wrong, burst(l.rate))}
	}
	shard.young[c] = known
	return known
}

func burst(r rate.Limit) int { return max(int(burstSeconds*r), 1) }

// take counts a request, or refuses it. Errors: *Problem.
func (l *limiter) take(b *budget) error {
	if now := l.now(); !b.requests.AllowN(now, 1) {
		return tooMany(&b.requests, now, "Too many requests come from your address.")
	}
	return nil
}

// mayTry refuses to judge another key of who has sent too many wrong ones. Errors: *Problem.
func (l *limiter) mayTry(b *budget) error {
	if now := l.now(); b.wrong.TokensAt(now) < 1 {
		return tooMany(&b.wrong, now, "Too many wrong keys or signatures have come from your address.")
	}
	return nil
}

// wrongKey counts a key or signature that was not right.
func (l *limiter) wrongKey(b *budget) { b.wrong.AllowN(l.now(), 1) }

// openStream counts a stream, or refuses it. The returned function ends it. Errors: *Problem.
func (l *limiter) openStream(c client) (func(), error) {
	l.streams.Lock()
	defer l.streams.Unlock()
	if l.streams.open[c] >= streamsPerClient {
		return nil, busy("Too many streams are open from your address.", streamRetry)
	}
	l.streams.open[c]++
	return func() {
		l.streams.Lock()
		defer l.streams.Unlock()
		if l.streams.open[c]--; l.streams.open[c] <= 0 {
			delete(l.streams.open, c)
		}
	}, nil
}

// tooMany is the refusal of a request that came too early: 429, with the time until one may come.
func tooMany(l *rate.Limiter, now time.Time, detail string) *Problem {
	seconds := math.Ceil((1 - l.TokensAt(now)) / float64(l.Limit()))
	return busy(detail, max(int(seconds), 1))
}

func busy(detail string, seconds int) *Problem {
	p := newProblem(http.StatusTooManyRequests, CodeOverloaded, "Too many requests", detail+" Send the same request again in a moment.")
	p.retryAfter = seconds
	return p
}

// clientOf is the address that a request came from: the peer's, or, if that is a trusted proxy, the last one in
// X-Forwarded-For that is none. Whatever stands before that one was written by the caller.
func (l *limiter) clientOf(r *http.Request) client {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return client{} // no TCP peer: all such callers are one
	}
	address := peer.Addr().Unmap()
	if len(l.proxies) == 0 || !l.trusts(address) {
		return keyOf(address)
	}
	hops := r.Header["X-Forwarded-For"]
	for i := len(hops) - 1; i >= 0; i-- {
		for list, more := hops[i], true; more; {
			var hop string
			if cut := strings.LastIndexByte(list, ','); cut >= 0 {
				list, hop = list[:cut], list[cut+1:]
			} else {
				hop, more = list, false
			}
			next, err := parseHop(strings.TrimSpace(hop))
			if err != nil {
				return keyOf(address)
			}
			if address = next; !l.trusts(address) {
				return keyOf(address)
			}
		}
	}
	return keyOf(address)
}

// parseHop reads an address of X-Forwarded-For, which some proxies write with its port.
func parseHop(hop string) (netip.Addr, error) {
	if withPort, err := netip.ParseAddrPort(hop); err == nil {
		return withPort.Addr().Unmap(), nil
	}
	address, err := netip.ParseAddr(hop)
	return address.Unmap(), err
}

func (l *limiter) trusts(address netip.Addr) bool {
	for _, proxy := range l.proxies {
		if proxy.Contains(address) {
			return true
		}
	}
	return false
}

func keyOf(address netip.Addr) client {
	c := client(address.As16())
	if !address.Is4() {
		clear(c[8:])
	}
	return c
}
