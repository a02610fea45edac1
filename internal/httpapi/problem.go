package httpapi

import (
	"net/http"
)

// Codes of refusals that are not the domain's. The domain's are domain.Code.
const (
	CodeUnauthorized = "unauthorized"
	CodeForbidden    = "forbidden"
	CodeNotAllowed   = "method_not_allowed"
	CodeOverloaded   = "overloaded"
	CodeUnavailable  = "unavailable"
	CodeInternal     = "internal"
)

// Problem is a refusal or fault as the outside sees it (RFC 9457). It is an error, so handlers return it.
// It never carries the text of a cause.
type Problem struct {
	Type      string       `json:"type"`
	Title     string       `json:"title"`
	Status    int          `json:"status"`
	Detail    string       `json:"detail,omitzero"`
	Instance  string       `json:"instance,omitzero"` // the request's id
	Code      string       `json:"code"`
	Errors    []FieldError `json:"errors,omitempty"`
	Available *int64       `json:"available,omitzero"` // with sold_out: tickets that are left
	Held      *int64       `json:"held,omitzero"`      // with sold_out: tickets that may come back

	retryAfter int    // seconds; 0 sends no Retry-After
	message    string // responseMessage in the owner's format, where the code alone does not settle it
}

// FieldError says what is wrong with one part of a request. One of the three places is set.
type FieldError struct {
	Pointer   string `json:"pointer,omitzero"`   // JSON pointer into the body
	Parameter string `json:"parameter,omitzero"` // query parameter
	Header    string `json:"header,omitzero"`    // request header
	Detail    string `json:"detail"`
}

// Error makes a Problem an error.
func (p *Problem) Error() string { return p.Code + ": " + p.Detail }

// newProblem builds a Problem whose type follows from its code.
func newProblem(status int, code, title, detail string) *Problem {
	return &Problem{Type: "/problems/" + code, Title: title, Status: status, Detail: detail, Code: code}
}

// Invalid is the refusal of a request that can't be meant: 400, one entry for each thing that is wrong.
func Invalid(errs ...FieldError) *Problem {
	detail := "The request is not valid."
	if len(errs) > 0 {
		detail = errs[0].String()
	}
	p := newProblem(http.StatusBadRequest, "invalid", "The request is not valid", detail)
	p.Errors = errs
	return p
}

// String is the error as one sentence for people.
func (e FieldError) String() string {
	if place := e.Pointer + e.Parameter + e.Header; place != "" {
		return place + " " + e.Detail + "."
	}
	return "The body " + e.Detail + "."
}

// NotFound is the refusal of a request for a thing that is not there: 404. What names it: "order".
func NotFound(what string) *Problem {
	p := newProblem(http.StatusNotFound, "not_found", "Not found", "There is no such "+what+".")
	p.message = notFoundMessage(what)
	return p
}

// Unauthorized is the refusal for want of a valid key or an order's token: 401, the same whether it is missing or wrong.
func Unauthorized() *Problem {
	p := keyNeeded()
	p.Detail = "Send a valid key as Authorization: Bearer KEY, or an order's own token as Order-Token."
	return p
}

// keyNeeded is Unauthorized where no order's token would do.
func keyNeeded() *Problem {
	return newProblem(http.StatusUnauthorized, CodeUnauthorized, "A valid key is needed", "Send a valid key as Authorization: Bearer KEY.")
}

// BadSignature is the refusal of a delivery that is not signed as agreed: 401.
func BadSignature() *Problem {
	p := newProblem(http.StatusUnauthorized, CodeUnauthorized, "A valid signature is needed", "The delivery is not signed as agreed.")
	p.message = "INVALID SIGNATURE"
	return p
}

// Forbidden is the refusal for a caller who is known but may not do this: 403.
func Forbidden(detail string) *Problem {
	return newProblem(http.StatusForbidden, CodeForbidden, "Not allowed", detail)
}

func tooLarge(detail string, status int) *Problem {
	p := newProblem(status, "invalid", "The request is too large", detail)
	p.message = "INVALID SIZE"
	return p
}

func unsupported(header, detail string) *Problem {
	p := newProblem(http.StatusUnsupportedMediaType, "invalid", "The body is not JSON", header+" "+detail+".")
	p.Errors = []FieldError{{Header: header, Detail: detail}}
	return p
}

func unavailable(code, title, detail string) *Problem {
	p := newProblem(http.StatusServiceUnavailable, code, title, detail)
	p.retryAfter = retryAfterSeconds
	return p
}
