package web

import (
	"net/http"

	"boxoffice/internal/httpapi"
)

// asset answers with an embedded file, or 304 to a browser that has this content.
func asset(name, contentType string) func(http.ResponseWriter, *http.Request) error {
	file, err := assets.ReadFile("assets/" + name)
	if err != nil {
		panic(err) // the name is not one that was embedded: a mistake in this package
	}
	return httpapi.File(file, contentType)
}
