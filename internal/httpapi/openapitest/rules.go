package openapitest

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/pb33f/libopenapi-validator/config"
	invalid "github.com/pb33f/libopenapi-validator/errors"
	"github.com/pb33f/libopenapi-validator/schema_validation"
	v3 "github.com/pb33f/libopenapi/datamodel/high/v3"

	"boxoffice/internal/httpapi"
)

// always are headers that any answer may carry without being declared for it, as the document's text says.
var always = []string{
	"Cache-Control", "Connection", "Content-Length", "Content-Security-Policy", "Content-Type", "Date", "Referrer-Policy",
	"Strict-Transport-Security", "Transfer-Encoding", "X-Accel-Buffering", "X-Content-Type-Options",
}

// rules is the document, ready to judge. Building it takes a while, so a test program has one.
type rules struct {
	document  *httpapi.OpenAPI
	model     *v3.Document
	http      validator.Validator
	schemas   schema_validation.SchemaValidator
	mu        sync.Mutex // one validation at a time: they are rare, and the library fills its models while it reads them
	shapes    sync.Map   // shape → *atomic.Int64, how often it was seen
	templates []template
}

// load builds the rules once.
var load = sync.OnceValues(func() (*rules, error) {
	document, err := httpapi.ParseOpenAPI()
	if err != nil {
		return nil, err
	}
	parsed, err := libopenapi.NewDocument(document.JSON)
	if err != nil {
		return nil, fmt.Errorf("openapi.yaml: %w", err)
	}
	model, err := parsed.BuildV3Model()
	if err != nil {
		return nil, fmt.Errorf("openapi.yaml: %w", err)
	}
	r := &rules{
		document: document, model: &model.Model,
		http:    validator.NewValidatorFromV3Model(&model.Model, config.WithFormatAssertions(), config.WithoutSecurityValidation()),
		schemas: schema_validation.NewSchemaValidator(config.WithFormatAssertions()),
	}
	r.http.SetDocument(parsed)
	for _, path := range document.Paths {
		r.templates = append(r.templates, template{path.Name, strings.Split(path.Name, "/"), path.Value})
	}
	return r, nil
})

// check judges an answer, and the request if it was accepted. It returns what is different.
func (r *rules) check(request *http.Request, response *http.Response, body []byte) []string {
	differences := r.checkHead(request, response)
	if len(differences) > 0 || request.Method == http.MethodHead {
		return differences
	}
	found, _ := r.find(request)
	if found == nil {
		return r.checkUnmatched(response, body)
	}
	kind := response.Header.Get("Content-Type")
	if r.isDue("answer", request.Method, found.path, strconv.Itoa(response.StatusCode), kind, shapeOf(kind, body)) {
		differences = r.checkBody(request, response, body)
	}
	if response.StatusCode < http.StatusMultipleChoices {
		differences = append(differences, r.checkRequest(request, found.path)...)
	}
	return differences
}

// checkHead judges the status, the headers and the content type of an answer.
func (r *rules) checkHead(request *http.Request, response *http.Response) []string {
	found, operation := r.find(request)
	status := strconv.Itoa(response.StatusCode)
	if operation == nil {
		want := "404"
		if found != nil {
			want = "405"
		}
		if status != want && status != "400" && status != "414" {
			return []string{"there is no such operation, so it must be " + want}
		}
		return nil
	}
	answer, ok := operation.Responses.Get(status)
	if !ok {
		return []string{"the status is not documented for " + found.path}
	}
	answer = r.document.Response(answer)
	var differences []string
	for name := range response.Header {
		declared := slices.ContainsFunc(answer.Headers, func(h httpapi.Named[httpapi.APIHeader]) bool {
			return http.CanonicalHeaderKey(h.Name) == name
		})
		if !declared && !slices.Contains(always, name) {
			differences = append(differences, "the header "+name+" is not documented for "+found.path)
		}
	}
	for _, header := range answer.Headers {
		if r.document.Header(header.Value).Required && response.Header.Get(header.Name) == "" {
			differences = append(differences, "the header "+header.Name+" is missing")
		}
	}
	kind, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type"))
	if _, ok := answer.Content.Get(kind); !ok && (kind != "" || len(answer.Content) > 0) {
		differences = append(differences, fmt.Sprintf("the content type %q is not documented for %s", kind, found.path))
	}
	return differences
}

func (r *rules) checkBody(request *http.Request, response *http.Response, body []byte) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	copied := *response
	copied.Body = io.NopCloser(bytes.NewReader(body))
	if len(body) == 0 {
		copied.Body = http.NoBody
	}
	if response.StatusCode == http.StatusNotModified || response.StatusCode == http.StatusSeeOther {
		if response.StatusCode == http.StatusNotModified && len(body) > 0 {
			return []string{"a 304 has a body"}
		}
		return nil
	}
	_, errs := r.http.ValidateHttpResponse(request, &copied)
	return texts(errs, body)
}

// checkRequest judges a request that was accepted. One whose body can't be had again is passed over.
func (r *rules) checkRequest(request *http.Request, path string) []string {
	var body []byte
	if request.GetBody != nil {
		reader, err := request.GetBody()
		if err != nil {
			return []string{"the request's body: " + err.Error()}
		}
		if body, err = io.ReadAll(reader); err != nil {
			return []string{"the request's body: " + err.Error()}
		}
	} else if request.Body != nil && request.Body != http.NoBody {
		return nil
	}
	kind := request.Header.Get("Content-Type")
	names := make([]string, 0, len(request.Header))
	for name := range request.Header {
		names = append(names, name)
	}
	for name := range request.URL.Query() {
		names = append(names, "?"+name)
	}
	slices.Sort(names)
	if !r.isDue("request", request.Method, path, strings.Join(names, " "), kind, shapeOf(kind, body)) {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	again := request.Clone(request.Context())
	again.Body = http.NoBody
	if len(body) > 0 {
		again.Body = io.NopCloser(bytes.NewReader(body))
	}
	_, errs := r.http.ValidateHttpRequestSync(again)
	differences := texts(errs, body)
	for i := range differences {
		differences[i] = "the request was accepted, but " + differences[i]
	}
	return differences
}

// checkUnmatched judges what an address or method that is not listed is told.
func (r *rules) checkUnmatched(response *http.Response, body []byte) []string {
	kind, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type"))
	switch kind {
	case "text/html":
		return nil
	case "application/problem+json":
		return r.checkSchema("Problem", body)
	case "application/json":
		return r.checkSchema("OwnerRefusal", body)
	default:
		return []string{"a refusal must not be " + kind}
	}
}

// checkSchema judges a value by one of the document's schemas.
func (r *rules) checkSchema(name string, body []byte) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	proxy, ok := r.model.Components.Schemas.Get(name)
	if !ok {
		return []string{"there is no schema " + name}
	}
	_, errs := r.schemas.ValidateSchemaString(proxy.Schema(), string(body))
	return texts(errs, body)
}

// maxShown is how much of a body a failure shows, in bytes.
const maxShown = 600

func texts(errs []*invalid.ValidationError, body []byte) []string {
	shown := string(body[:min(len(body), maxShown)])
	var out []string
	for _, e := range errs {
		if len(e.SchemaValidationErrors) == 0 {
			out = append(out, e.Message+": "+e.Reason+" in "+shown)
		}
		for _, one := range e.SchemaValidationErrors {
			out = append(out, fmt.Sprintf("%s %s (%s) in %s", one.FieldPath, one.Reason, one.KeywordLocation, shown))
		}
	}
	return out
}
