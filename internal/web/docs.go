package web

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"boxoffice/internal/httpapi"
)

// The files of /docs are apart from the other assets: buyers never load them.
//
//go:embed docs
var docsFiles embed.FS

var docsPage = template.Must(template.New("docs.html").Funcs(template.FuncMap{"prose": prose, "lower": strings.ToLower}).
	ParseFS(docsFiles, "docs/docs.html"))

// Docs are the routes of the interface's description for people: one page without script, and its style. publicURL is
// how callers reach us, for the commands that the page shows.
func Docs(api *httpapi.OpenAPI, publicURL string) []httpapi.Route {
	style, err := docsFiles.ReadFile("docs/docs.css")
	if err != nil {
		panic(err) // the name is not one that was embedded: a mistake in this package
	}
	page := sync.OnceValues(func() ([]byte, error) {
		var text bytes.Buffer
		if err := docsPage.Execute(&text, newDocsView(api, strings.TrimSuffix(publicURL, "/"))); err != nil {
			return nil, fmt.Errorf("render the documentation: %w", err)
		}
		return text.Bytes(), nil
	})
	return []httpapi.Route{
		{Method: http.MethodGet, Path: "/docs", Who: httpapi.Anyone, Format: httpapi.Page, Handle: func(w http.ResponseWriter, _ *http.Request) error {
			text, err := page()
			if err != nil {
				return err
			}
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			w.Header().Set("Content-Length", strconv.Itoa(len(text)))
			_, _ = w.Write(text) // a failed write means that the browser is gone
			return nil
		}},
		{Method: http.MethodGet, Path: "/assets/docs.css", Who: httpapi.Anyone, Handle: httpapi.File(style, "text/css; charset=utf-8")},
	}
}

// span is a piece of prose.
type span struct {
	Text string
	Kind string // "", code or strong
}

// prose cuts a description into paragraphs, and these at their `code` and **strong** words.
func prose(text string) [][]span {
	var paragraphs [][]span
	for paragraph := range strings.SplitSeq(strings.TrimSpace(text), "\n\n") {
		var spans []span
		for i, part := range strings.Split(paragraph, "`") {
			if i%2 == 1 {
				spans = append(spans, span{part, "code"})
				continue
			}
			for j, part := range strings.Split(part, "**") {
				spans = append(spans, span{part, []string{"", "strong"}[j%2]})
			}
		}
		paragraphs = append(paragraphs, spans)
	}
	return paragraphs
}
