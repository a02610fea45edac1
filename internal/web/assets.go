package web

import (
	"hash/fnv"
	"net/http"
	"strconv"

	"boxoffice/internal/httpapi"
)

// asset answers with an embedded file, or 304 to a browser that has this content.
func asset(name, contentType string) func(http.ResponseWriter, *http.Request) error {
	content, err := assets.ReadFile("assets/" + name)
	if err != nil {
		panic(err) // the name is not one that was embedded: a mistake in this package
	}
	hash := fnv.New32a()
	_, _ = hash.Write(content)
	version := int64(hash.Sum32())
	return func(w http.ResponseWriter, r *http.Request) error {
		if httpapi.ETag(w, r, version) {
			return nil
		}
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("Content-Length", strconv.Itoa(len(content)))
		_, _ = w.Write(content) // a failed write means that the browser is gone
		return nil
	}
}
