package httpapi

import "net/http"

const (
	requestIDHeader   = "X-Request-Id"
	idempotencyHeader = "Idempotency-Key"

	// pagePolicy lets a page use nothing but our own files: no inline script or style, nothing foreign, no frames.
	pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
		"form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
	// apiPolicy lets an answer that a browser shows by mistake do nothing at all.
	apiPolicy = "default-src 'none'; frame-ancestors 'none'"

	oneYear = "max-age=31536000"
)

// setHeaders puts what every answer carries, before anybody can write one.
func setHeaders(h http.Header, id string, https bool) {
	h.Set("Content-Security-Policy", apiPolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	// Not no-referrer: with that, browsers send Origin: null with our own forms, which looks like another site.
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	h.Set(requestIDHeader, id)
	if https {
		h.Set("Strict-Transport-Security", oneYear)
	}
}
