package messaging

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

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
// of CloudEvents, stay; of a command no others, see bury.
func fitHeaders(headers message.Metadata, topic string) {
	size := func(name string) int { return len(name) + len(headers[name]) }
	key, keyed := headers[KeyMetadata]
	delete(headers, KeyMetadata)
	total, dropped := 0, 0
	for name := range headers {
		if topic == CommandsTopic && !impersonal(name) {
			dropped += size(name)
			delete(headers, name)
			continue
		}
		total += size(name)
	}
	if total > maxDeadHeaders {
		largest := slices.SortedFunc(maps.Keys(headers), func(a, b string) int { return cmp.Compare(size(b), size(a)) })
		for _, name := range largest {
			if total <= maxDeadHeaders {
				break
			}
			total -= size(name)
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

// impersonal reports whether a header says what a command is, and nothing of who sent it.
func impersonal(name string) bool {
	return strings.HasPrefix(name, "ce_") || name == "content-type" || name == "traceparent"
}
