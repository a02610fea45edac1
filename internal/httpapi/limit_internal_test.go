package httpapi

import (
	"encoding/binary"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestAddressesAreForgottenAndNotKeptForEver(t *testing.T) {
	t.Parallel()
	l := newLimiter(1, nil)
	var one client
	regular := client{1: 1}
	kept := l.budgetOf(regular)
	const strangers = 10 * limitShards * shardClients
	for i := range uint64(strangers) {
		binary.BigEndian.PutUint64(one[8:], i)
		l.budgetOf(one)
		if i%shardClients == 0 && l.budgetOf(regular) != kept {
			t.Fatal("who comes again and again is forgotten")
		}
	}
	known := 0
	for i := range l.shards {
		known += len(l.shards[i].young) + len(l.shards[i].old)
	}
	if most := 2 * limitShards * shardClients; known > most || known < most/4 {
		t.Errorf("%d addresses are known, at most %d may be", known, most)
	}
}

func TestTheLimitCostsNoAllocation(t *testing.T) {
	l := newLimiter(1e6, nil)
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	if n := testing.AllocsPerRun(1000, func() {
		_ = l.take(l.budgetOf(l.clientOf(r)))
	}); n != 0 {
		t.Errorf("a request costs %v allocations", n)
	}
}

func BenchmarkTheLimitOfManyAddresses(b *testing.B) {
	l := newLimiter(1e6, nil)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		var c client
		for i := uint64(0); pb.Next(); i++ {
			binary.BigEndian.PutUint64(c[8:], i%50_000)
			_ = l.take(l.budgetOf(c))
		}
	})
}
