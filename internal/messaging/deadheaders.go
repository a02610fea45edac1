package messaging

import (
	"cmp"
	"maps"
	"slices"
	"strconv"

	"github.com/ThreeDotsLabs/watermill/message"
)

// DeadHeadersCut is how many bytes of a dead letter's headers and key did not fit; the whole is where topic,
// partition and offset say.
const DeadHeadersCut = "boxoffice_dead_headers_cut"

// Limits of what a dead letter keeps beside its payload. Anybody who may write a topic may fill a message with
// headers, or its key, and a letter that can't be written would hold up the partition for ever.
const (
	maxDeadHeaders = 32 << 10 // bytes of names and values
	maxDeadKey     = 16 << 10 // bytes
)

// fitHeaders drops headers, the largest first, until the rest fits, and cuts the key. Small ones, such as those
// of CloudEvents, stay.
func fitHeaders(headers message.Metadata) {
	size := func(name string) int { return len(name) + len(headers[name]) }
	key, keyed := headers[KeyMetadata]
	delete(headers, KeyMetadata)
	total, dropped := 0, 0
	for name := range headers {
		total += size(name)
	}
	if total > maxDeadHeaders {
		largest := slices.SortedFunc(maps.Keys(headers), func(a, b string) int { return cmp.Compare(size(b), size(a)) })
		for _, name := range largest {
			if total-dropped <= maxDeadHeaders {
				break
			}
			dropped += size(name)
			delete(headers, name)
		}
	}
	if keyed {
		headers[KeyMetadata] = key[:min(len(key), maxDeadKey)]
		dropped += len(key) - len(headers[KeyMetadata])
	}
	if dropped > 0 {
		headers[DeadHeadersCut] = strconv.Itoa(dropped)
	}
}
