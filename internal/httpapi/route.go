// Package httpapi is what all HTTP of Boxoffice shares: one table of routes that says who may call what,
// one middleware that enforces it, strict JSON, refusals in both outside formats, and a server with limits.
package httpapi

import (
	"net/http"
	"strings"
)

// Route is one line of the route table. Everything a caller has to pass before Handle runs stands here.
type Route struct {
	Method     string // an HTTP method in capitals; GET also answers HEAD
	Path       string // pattern of net/http without the method: /orders/{id}
	Who        Who    // who may call it; a route without it is refused by NewHandler
	Idempotent bool   // Idempotency-Key is required (on routes in the owner's format it stays optional)
	MaxBody    int64  // bytes of body; 0 is DefaultMaxBody
	Format     Format // how refusals look
	Stream     bool   // Server-Sent Events: no time limit on the request
	Unlimited  bool   // no limit by address: for balancers that ask often
	// Handle answers the request, or returns an error before it has written anything: see FromError.
	Handle func(w http.ResponseWriter, r *http.Request) error
}

// Name is how the route is called in metrics and logs: "POST /orders/{id}/cancel".
func (r Route) Name() string { return r.Method + " " + r.Path }

// Format says how a route speaks.
type Format uint8

// The formats.
const (
	Native Format = iota // JSON, refusals as application/problem+json
	Owner                // the owner's envelope of header and payload
	Page                 // HTML
)

// Who is the set of callers that a route is for.
type Who uint16

// Who may call, apart from operators.
const (
	Anyone  Who = 1 << iota // no key is asked for; a valid operator key is recognised all the same
	Channel                 // trusted frontends, once channel keys are configured; anyone before that
	Buyer                   // judged by the handler (token or operator); a wrong operator key is refused here
	Gateway                 // judged by the handler, by the signature of the body
	operatorRead
	operatorDoor
	operatorSales
	operatorAdmin
)

const operatorBits = operatorRead | operatorDoor | operatorSales | operatorAdmin

// Role is what an operator may do.
type Role string

// The roles of operators.
const (
	RoleRead  Role = "read"
	RoleDoor  Role = "door"
	RoleSales Role = "sales"
	RoleAdmin Role = "admin"
)

// Operators is the set of operators with one of these roles. RoleAdmin is always part of it.
func Operators(roles ...Role) Who {
	who := operatorAdmin
	for _, role := range roles {
		who |= role.bit()
	}
	return who
}

// AnyOperator is the set of all operators, whatever their role.
func AnyOperator() Who { return operatorBits }

func (r Role) bit() Who {
	switch r {
	case RoleRead:
		return operatorRead
	case RoleDoor:
		return operatorDoor
	case RoleSales:
		return operatorSales
	case RoleAdmin:
		return operatorAdmin
	default:
		return 0
	}
}

// ForOperators reports whether only operators may call.
func (w Who) ForOperators() bool { return w != 0 && w&^operatorBits == 0 }

// Allows reports whether an operator with this role is in the set.
func (w Who) Allows(role Role) bool { return w&role.bit() != 0 }

// valid reports whether the set is one a route may have: one kind of caller, or operators.
func (w Who) valid() bool {
	switch w {
	case Anyone, Channel, Buyer, Gateway:
		return true
	default:
		return w.ForOperators()
	}
}

// String names the set, for tests and error texts.
func (w Who) String() string {
	switch w {
	case Anyone:
		return "anyone"
	case Channel:
		return "channel"
	case Buyer:
		return "buyer"
	case Gateway:
		return "gateway"
	}
	var names []string
	for _, role := range []Role{RoleRead, RoleDoor, RoleSales, RoleAdmin} {
		if w.Allows(role) {
			names = append(names, string(role))
		}
	}
	if len(names) == 0 {
		return "nobody"
	}
	return "operators " + strings.Join(names, ",")
}
