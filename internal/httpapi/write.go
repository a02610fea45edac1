package httpapi

import (
	"bytes"
	"fmt"
	"html/template"
	"net/http"
	"strconv"
)

// Write answers with a problem in the route's format. The middleware does it for errors that handlers return.
func Write(w http.ResponseWriter, r *http.Request, format Format, p *Problem) error {
	answer := *p
	answer.Instance = RequestID(r.Context())
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	if answer.retryAfter > 0 {
		header.Set("Retry-After", strconv.Itoa(answer.retryAfter))
	}
	if answer.Status == http.StatusUnauthorized {
		header.Set("WWW-Authenticate", "Bearer")
	}
	switch format {
	case Owner:
		return writeJSON(w, answer.Status, jsonType, ownerRefusal(&answer))
	case Page:
		return writePage(w, &answer)
	default:
		return writeJSON(w, answer.Status, problemType, &answer)
	}
}

const (
	jsonType    = "application/json"
	problemType = "application/problem+json"
	htmlType    = "text/html; charset=utf-8"
)

// errorPage is all a browser sees of a fault, so it depends on nothing but its own text and the shared style sheet.
var errorPage = template.Must(template.New("error").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{.Title}} · Boxoffice</title><link rel="stylesheet" href="/assets/boxoffice.css"></head>
<body><main class="problem"><h1>{{.Title}}</h1><p>{{.Detail}}</p><p><a href="/">See what is on</a></p>
<p class="reference">Reference {{.Instance}}</p></main></body></html>
`))

func writePage(w http.ResponseWriter, p *Problem) error {
	buffer := buffers.Get().(*bytes.Buffer)
	defer putBuffer(buffer)
	buffer.Reset()
	if err := errorPage.Execute(buffer, p); err != nil {
		return fmt.Errorf("write the error page: %w", err)
	}
	w.Header().Set("Content-Security-Policy", pagePolicy)
	send(w, p.Status, htmlType, buffer.Bytes())
	return nil
}
