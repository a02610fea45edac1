package commands

import (
	"net/http"
	"strconv"
	"strings"

	"boxoffice/domain"
	"boxoffice/internal/httpapi"
)

// payAgainBody asks for one more payment.
type payAgainBody struct {
	Method domain.PaymentMethod `json:"method"`
}

// Check reports what is missing.
func (b *payAgainBody) Check(c *httpapi.Checks) { c.Text("/method", string(b.Method), maxMethod) }

func (d *Door) payAgain(w http.ResponseWriter, r *http.Request) error {
	orderID := r.PathValue("id")
	if err := d.holder(r, orderID, httpapi.RoleSales); err != nil {
		return err
	}
	var body payAgainBody
	if err := httpapi.Decode(r, &body); err != nil {
		return err
	}
	o := origin(r)
	var err error
	if o.Request, err = d.requestOf("POST /orders/{id}/payments", orderID, httpapi.IdempotencyKey(r), body); err != nil {
		return err
	}
	answer, err := d.send(r.Context(), domain.RequestPayment{OrderID: orderID, Method: body.Method}, o)
	if err != nil {
		return err
	}
	markReplayed(w, answer)
	return httpapi.JSON(w, http.StatusCreated, d.orderView(answer, nil))
}

// holder judges whether the caller may act on an order: with its token, or as an operator with the role. To
// everybody else it does not even say whether the order exists.
func (d *Door) holder(r *http.Request, orderID string, role httpapi.Role) error {
	if operator, ok := httpapi.OperatorFrom(r.Context()); ok {
		if !httpapi.Operators(role).Allows(operator.Role) {
			return httpapi.Forbidden("Your role, " + string(operator.Role) + ", may not do this.")
		}
		return nil
	}
	if !d.Secrets.CheckOrderToken(orderID, r.Header.Get(orderTokenHeader)) {
		return httpapi.Unauthorized()
	}
	return nil
}

// cancelBody is what may be said to a cancellation; none of it is needed. Force is for tickets that were
// admitted already, which none are yet.
type cancelBody struct {
	Force  bool   `json:"force"`
	Reason string `json:"reason"`
}

// Check reports what is out of bounds.
func (b *cancelBody) Check(c *httpapi.Checks) { c.OptionalText("/reason", b.Reason, domain.MaxReason) }

func (d *Door) cancelOrder(w http.ResponseWriter, r *http.Request) error {
	orderID := r.PathValue("id")
	if err := d.holder(r, orderID, httpapi.RoleSales); err != nil {
		return err
	}
	var body cancelBody
	if err := decodeIfAny(r, &body); err != nil {
		return err
	}
	command := domain.CancelOrder{OrderID: orderID}
	if _, command.ByOperator = httpapi.OperatorFrom(r.Context()); command.ByOperator {
		command.Note = body.Reason // what a buyer writes may name people, and the log keeps everything
	}
	answer, err := d.send(r.Context(), command, origin(r))
	if err != nil {
		return err
	}
	return httpapi.JSON(w, http.StatusOK, d.orderView(answer, nil))
}

// decodeIfAny decodes a body where one was sent.
func decodeIfAny(r *http.Request, v any) error {
	if r.ContentLength == 0 || r.Body == http.NoBody {
		return nil
	}
	body, err := httpapi.ReadBody(r)
	if err != nil {
		return err
	}
	if len(body) == 0 {
		return nil
	}
	return httpapi.DecodeBytes(body, v)
}

// resolveBody closes an open item.
type resolveBody struct {
	Reason string `json:"reason"`
}

// Check reports what is missing.
func (b *resolveBody) Check(c *httpapi.Checks) { c.Text("/reason", b.Reason, domain.MaxReason) }

// resolved is the answer to a resolved open item.
type resolved struct {
	ID       string `json:"id"`
	Resolved bool   `json:"resolved"`
	Reason   string `json:"reason"`
}

func (d *Door) resolve(w http.ResponseWriter, r *http.Request) error {
	var body resolveBody
	if err := httpapi.Decode(r, &body); err != nil {
		return err
	}
	id := r.PathValue("id")
	stream, version, ok := strings.Cut(id, ":")
	n, err := strconv.ParseInt(version, 10, 64)
	if !ok || err != nil || n < 1 || strconv.FormatInt(n, 10) != version {
		return httpapi.NotFound(string(domain.WhatOpenItem))
	}
	command := domain.ResolveOpenItem{Stream: stream, Version: n, Reason: body.Reason}
	answer, err := d.send(r.Context(), command, origin(r))
	if err != nil {
		return err
	}
	return httpapi.JSON(w, http.StatusOK, resolved{ID: id, Resolved: true, Reason: answer.Result.Reason})
}
