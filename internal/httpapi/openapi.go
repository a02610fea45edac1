package httpapi

import (
	_ "embed"
	"fmt"
	"hash/fnv"
	"net/http"
	"sync"

	"github.com/go-json-experiment/json"
	"github.com/goccy/go-yaml"
)

//go:embed openapi.yaml
var openAPIText []byte

// OpenAPI is the description of the whole HTTP interface: as text, and as far as pages and tests need it as values.
type OpenAPI struct {
	YAML []byte
	JSON []byte // the same in the same order
	Document
}

// ParseOpenAPI reads the embedded description, once; nobody may change it. Errors: it can't be read, a mistake of this
// package.
func ParseOpenAPI() (*OpenAPI, error) { return parsedOpenAPI() }

var parsedOpenAPI = sync.OnceValues(parseOpenAPI)

func parseOpenAPI() (*OpenAPI, error) {
	text, err := yaml.YAMLToJSON(openAPIText)
	if err != nil {
		return nil, fmt.Errorf("read openapi.yaml: %w", err)
	}
	o := &OpenAPI{YAML: openAPIText, JSON: text}
	if err := json.Unmarshal(text, &o.Document); err != nil {
		return nil, fmt.Errorf("read openapi.yaml: %w", err)
	}
	return o, nil
}

// Routes serve the description in both forms.
func (o *OpenAPI) Routes() []Route {
	return []Route{
		{Method: http.MethodGet, Path: "/openapi.json", Who: Anyone, Handle: File(o.JSON, jsonType)},
		{Method: http.MethodGet, Path: "/openapi.yaml", Who: Anyone, Handle: File(o.YAML, "application/yaml")},
	}
}

// File is the handler of a content that never changes; a caller that has it gets 304.
func File(content []byte, contentType string) func(http.ResponseWriter, *http.Request) error {
	hash := fnv.New32a()
	_, _ = hash.Write(content)
	version := int64(hash.Sum32())
	return func(w http.ResponseWriter, r *http.Request) error {
		if !ETag(w, r, version) {
			send(w, http.StatusOK, contentType, content)
		}
		return nil
	}
}
