package httpapi

import (
	"context"
	"errors"
	"net/http"

	"boxoffice/domain"
)

// ErrOverloaded is returned when a request is turned away because too many are waiting: 503 with Retry-After.
var ErrOverloaded = errors.New("too many requests are waiting")

// ErrUnavailable is returned (wrapped around its cause) when something we depend on does not answer, or the
// outcome of a commit is not known yet: 503 with Retry-After; the same request again gets the true answer.
var ErrUnavailable = errors.New("a service that this depends on does not answer")

const retryAfterSeconds = 1

// FromError is the outside view of any error: a Problem as it is, a Rejection by its code, the sentinels of this
// package, a passed deadline as 503, and everything else as 500 without details.
func FromError(err error) *Problem {
	if p, ok := errors.AsType[*Problem](err); ok {
		return p
	}
	if rejection, ok := errors.AsType[*domain.Rejection](err); ok {
		return fromRejection(rejection)
	}
	if large, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return tooLargeBody(large.Limit)
	}
	switch {
	case errors.Is(err, ErrOverloaded):
		return unavailable(CodeOverloaded, "Too busy", "Too many requests are waiting. Send the same request again in a moment.")
	case errors.Is(err, ErrUnavailable), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return unavailable(CodeUnavailable, "Not available", "The answer is not known yet. Send the same request again in a moment.")
	default:
		return newProblem(http.StatusInternalServerError, CodeInternal, "Something went wrong", "It is our fault, and it has been noted.")
	}
}

func fromRejection(r *domain.Rejection) *Problem {
	switch r.Code {
	case domain.Invalid:
		p := Invalid(FieldError{Pointer: r.Field, Detail: r.Detail})
		p.Detail = r.Detail
		return p
	case domain.NotFound:
		p := newProblem(http.StatusNotFound, string(r.Code), "Not found", r.Detail)
		p.message = notFoundMessage(string(r.What))
		return p
	case domain.IdempotencyMismatch:
		return newProblem(http.StatusUnprocessableEntity, string(r.Code), "The key was used with another request", r.Detail)
	case domain.SoldOut:
		p := newProblem(http.StatusConflict, string(r.Code), rejectionTitle(r.Code), r.Detail)
		available, held := r.Available, r.Held
		p.Available, p.Held = &available, &held
		return p
	default:
		return newProblem(http.StatusConflict, string(r.Code), rejectionTitle(r.Code), r.Detail)
	}
}

func rejectionTitle(code domain.Code) string {
	switch code {
	case domain.SoldOut:
		return "Not enough tickets are left"
	case domain.LimitReached:
		return "That is more than one buyer may have"
	case domain.SalesClosed:
		return "These tickets are not on sale now"
	case domain.SalesArePaused:
		return "Sales are paused"
	case domain.ShowIsCanceled:
		return "The show is canceled"
	case domain.HoldEnded:
		return "The tickets are not held any more"
	case domain.NotCancelable:
		return "The order can't be canceled"
	case domain.CapacityInUse:
		return "The capacity is in use"
	case domain.Exists:
		return "It exists already"
	default:
		return "Not possible"
	}
}
