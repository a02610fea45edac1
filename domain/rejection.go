package domain

import "fmt"

// Code names a business refusal. Codes are part of the outside contract.
type Code string

// The refusals.
const (
	Invalid             Code = "invalid"
	NotFound            Code = "not_found"
	SoldOut             Code = "sold_out"
	LimitReached        Code = "limit_reached"
	SalesClosed         Code = "sales_closed"
	SalesArePaused      Code = "sales_paused"
	ShowIsCanceled      Code = "show_canceled"
	HoldEnded           Code = "hold_ended"
	NotCancelable       Code = "not_cancelable"
	CapacityInUse       Code = "capacity_in_use"
	Exists              Code = "exists"
	IdempotencyMismatch Code = "idempotency_mismatch"
)

// What is the thing that a NotFound or Invalid rejection speaks of.
type What string

// The things a rejection can speak of.
const (
	WhatShow       What = "show"
	WhatTicketType What = "ticket type"
	WhatOrder      What = "order"
	WhatPayment    What = "payment"
	WhatOpenItem   What = "open item"
)

// Rejection is a business refusal, not a fault: the command was understood and decided against, and nothing happened.
type Rejection struct {
	Code      Code
	Detail    string // one sentence for people
	What      What   // with NotFound: what was not found
	Field     string // with Invalid: JSON pointer into the native body, such as /quantity
	Available int64  // with SoldOut: what is left of the ticket type that falls short
	Held      int64  // with SoldOut: what may come back of it
}

// Error makes a Rejection an error; it is found with errors.As.
func (r *Rejection) Error() string { return string(r.Code) + ": " + r.Detail }

// reject refuses a command with a sentence for people.
func reject(code Code, format string, args ...any) *Rejection {
	return &Rejection{Code: code, Detail: fmt.Sprintf(format, args...)}
}

// notFound refuses a command that speaks of something that does not exist.
func notFound(what What, id any) *Rejection {
	r := reject(NotFound, "There is no %s %v.", what, id)
	r.What = what
	return r
}

// invalid refuses a command with a bad field, named by its JSON pointer.
func invalid(field, format string, args ...any) *Rejection {
	r := reject(Invalid, format, args...)
	r.Field = field
	return r
}
