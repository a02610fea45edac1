package config

import (
	"errors"
	"fmt"
	"net"
	"strconv"
)

// Brokers are the addresses at which Kafka is first asked, as host:port.
type Brokers []string

// UnmarshalText reads a comma separated list.
func (b *Brokers) UnmarshalText(text []byte) error {
	*b = nil
	var wrong []error
	for _, address := range words(text) {
		if err := checkAddress(address, true); err != nil {
			wrong = append(wrong, err)
		}
		*b = append(*b, address)
	}
	return oneLine(errors.Join(wrong...))
}

// CheckAddress judges an address to listen on: host:port, where the host may be left out. The error says what is
// wrong, and names no variable.
func CheckAddress(address string) error { return checkAddress(address, false) }

// CheckURL judges the http:// or https:// URL of a process. The error goes on from the name of what holds it.
func CheckURL(text string) error { return checkURL(text, "http", "https") }

// checkAddress accepts host:port. A server's address needs its host, an address to listen on does not.
func checkAddress(address string, needsHost bool) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%q is not host:port", address)
	}
	if needsHost && host == "" {
		return fmt.Errorf("%q has no host", address)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 || (needsHost && n == 0) {
		return fmt.Errorf("%q has no port between 1 and 65535", address)
	}
	return nil
}
