package commands

import (
	"net/http"
	"net/url"
	"strconv"

	"boxoffice/domain"
	"boxoffice/internal/httpapi"
)

// cancelShowBody is what may be said to the cancellation of a show; none of it is needed.
type cancelShowBody struct {
	Reason string `json:"reason"`
}

// Check reports what is out of bounds.
func (b *cancelShowBody) Check(c *httpapi.Checks) {
	c.OptionalText("/reason", b.Reason, domain.MaxReason)
}

// cancelShow cancels a show, once, or says what that would do. Its orders end after the answer, step by step.
func (d *Door) cancelShow(w http.ResponseWriter, r *http.Request) error {
	showID, err := httpapi.PathID(r, "id", string(domain.WhatShow))
	if err != nil {
		return err
	}
	dryRun, err := dryRunOf(r)
	if err != nil {
		return err
	}
	var body cancelShowBody
	if err := decodeIfAny(r, &body); err != nil {
		return err
	}
	if dryRun {
		would, err := d.Cancellation(r.Context(), showID)
		if err != nil {
			return err
		}
		w.Header().Set("Cache-Control", "no-store")
		return httpapi.JSON(w, http.StatusOK, would)
	}
	answer, err := d.send(r.Context(), domain.CancelShow{ShowID: showID, Reason: body.Reason}, origin(r))
	if err != nil {
		return err
	}
	view := d.showView(answer)
	// The show is canceled, whether the read model can be asked or not; without it the answer says nothing of refunds.
	if refunds, err := d.Refunds(r.Context(), showID); err == nil {
		view.Refunds = &refunds
	}
	return httpapi.JSON(w, http.StatusOK, view)
}

// dryRunOf reads the parameter dryRun, the only one there is: nobody is to cancel a show by a slip of the pen.
func dryRunOf(r *http.Request) (bool, error) {
	params, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return false, httpapi.Invalid(httpapi.FieldError{Parameter: "query", Detail: "can't be read"})
	}
	for name := range params {
		if name != "dryRun" {
			return false, httpapi.Invalid(httpapi.FieldError{Parameter: name, Detail: "is not known here"})
		}
	}
	sent, ok := params["dryRun"]
	if !ok {
		return false, nil
	}
	dryRun, err := strconv.ParseBool(sent[0])
	if err != nil || len(sent) > 1 || sent[0] != strconv.FormatBool(dryRun) {
		return false, httpapi.Invalid(httpapi.FieldError{Parameter: "dryRun", Detail: "must be true or false"})
	}
	return dryRun, nil
}
