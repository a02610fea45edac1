package logtest

import (
	"runtime"
	"sync"
	"time"
)

// LiveHeap is how many bytes are in use after a collection.
func LiveHeap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// PeakHeap runs what is measured and returns how many bytes of heap were in use at most meanwhile, garbage
// included, as it is seen every few milliseconds.
func PeakHeap(measured func()) int64 {
	const every = 5 * time.Millisecond
	var peak uint64
	done := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			peak = max(peak, m.HeapInuse)
			select {
			case <-ticker.C:
			case <-done:
				return
			}
		}
	})
	measured()
	close(done)
	watching.Wait()
	return int64(peak)
}
