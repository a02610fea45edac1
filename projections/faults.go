package projections

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"net/http"

	"github.com/lib/pq"

	"boxoffice/internal/httpapi"
)

// known tells apart, in what a handler returns, a database that can't be reached now from a fault of ours.
func known(handle func(http.ResponseWriter, *http.Request) error) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		err := handle(w, r)
		if away(err) {
			return fmt.Errorf("%w: %w", httpapi.ErrUnavailable, err)
		}
		return err
	}
}

// away reports whether an error means that the database does not answer, or refuses to for now.
func away(err error) bool {
	if err == nil {
		return false
	}
	if pqErr, ok := errors.AsType[*pq.Error](err); ok {
		switch pqErr.Code.Class() {
		case "08", "53", "55", "57": // connection, resources, not in the right state, operator intervention
			return true
		}
		return false
	}
	_, network := errors.AsType[net.Error](err)
	return network || errors.Is(err, driver.ErrBadConn)
}
