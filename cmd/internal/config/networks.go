package config

import (
	"errors"
	"fmt"
	"net/netip"
)

// maxRateLimit is the highest RATE_LIMIT, in requests a second; who wants more wants none.
const maxRateLimit = 1_000_000

// Networks are ranges of addresses.
type Networks []netip.Prefix

// UnmarshalText reads ranges like 10.0.0.0/8 or single addresses, divided by commas or line ends.
func (n *Networks) UnmarshalText(text []byte) error {
	*n = nil
	var wrong []error
	for _, word := range words(text) {
		prefix, err := netip.ParsePrefix(word)
		if err != nil {
			var one netip.Addr
			if one, err = netip.ParseAddr(word); err == nil {
				prefix = netip.PrefixFrom(one, one.BitLen())
			}
		}
		if err != nil {
			wrong = append(wrong, fmt.Errorf("%q is not a network like 10.0.0.0/8", word))
			continue
		}
		*n = append(*n, prefix.Masked())
	}
	return oneLine(errors.Join(wrong...))
}
