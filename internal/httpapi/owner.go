package httpapi

import (
	"net/http"
	"strings"

	"boxoffice/domain"
)

// OwnerOK answers 200 in the owner's envelope with responseCode 00.
func OwnerOK(w http.ResponseWriter, payload any) error {
	return writeJSON(w, http.StatusOK, jsonType, ownerAnswer{Header: ownerHeader{Code: "00", Message: "SUCCESS"}, Payload: payload})
}

type ownerAnswer struct {
	Header  ownerHeader `json:"header"`
	Payload any         `json:"payload"`
}

type ownerHeader struct {
	Code    string `json:"responseCode"`
	Message string `json:"responseMessage"`
}

type ownerPayload struct {
	Code      string `json:"code"`
	Detail    string `json:"detail"`
	Available *int64 `json:"available,omitzero"`
	Held      *int64 `json:"held,omitzero"`
}

// ownerRefusal is the problem in the owner's envelope, by the table of the contract.
func ownerRefusal(p *Problem) ownerAnswer {
	code, message := ownerCode(p)
	if p.message != "" {
		message = p.message
	}
	return ownerAnswer{
		Header:  ownerHeader{Code: code, Message: message},
		Payload: ownerPayload{Code: p.Code, Detail: p.Detail, Available: p.Available, Held: p.Held},
	}
}

func ownerCode(p *Problem) (code, message string) {
	switch p.Code {
	case string(domain.Invalid):
		return "80", "INVALID " + ownerField(p.Errors)
	case CodeUnauthorized:
		return "01", "INVALID CHANNEL KEY"
	case CodeForbidden:
		return "01", "FORBIDDEN"
	case CodeNotAllowed:
		return "80", "INVALID METHOD"
	case string(domain.NotFound):
		return "01", "NOT FOUND"
	case string(domain.SoldOut):
		return "01", "STOCK IS NOT AVAILABLE"
	case string(domain.IdempotencyMismatch):
		return "80", "REQUEST ID WAS USED WITH ANOTHER PAYLOAD"
	}
	if p.Status >= http.StatusInternalServerError || p.Status == http.StatusTooManyRequests {
		return "99", "GENERIC_ERROR"
	}
	return "97", "BUSINESS_ERROR: " + strings.TrimSuffix(p.Detail, ".")
}

// ownerField names what is wrong in the words of the owner's format, whose fields have other names than ours.
func ownerField(errs []FieldError) string {
	if len(errs) == 0 {
		return "REQUEST"
	}
	first := errs[0]
	if first.Pointer == "" {
		if place := first.Header + first.Parameter; place != "" {
			return place
		}
		return "JSON"
	}
	if first.Pointer == "/customer/id" {
		return "uName"
	}
	switch name := first.Pointer[strings.LastIndexByte(first.Pointer, '/')+1:]; name {
	case "showId":
		return "eventId"
	case "ticketTypeId":
		return "ticketId"
	case "method":
		return "paymentMethod"
	default:
		return name
	}
}

func notFoundMessage(what string) string {
	switch domain.What(what) {
	case domain.WhatShow:
		return "EVENT NOT FOUND"
	case domain.WhatTicketType:
		return "TICKET NOT FOUND"
	case "":
		return "NOT FOUND"
	default:
		return strings.ToUpper(what) + " NOT FOUND"
	}
}
