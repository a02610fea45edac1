package httpapi

import (
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Document is an OpenAPI 3.1 document, as far as it is shown and checked here. What has a Ref is found by a look-up
// in Components.
type Document struct {
	OpenAPI    string           `json:"openapi"`
	Info       APIInfo          `json:"info"`
	Tags       []APITag         `json:"tags"`
	Paths      Ordered[APIPath] `json:"paths"`
	Components APIComponents    `json:"components"`
}

// APIInfo says what the interface is.
type APIInfo struct {
	Title       string `json:"title"`
	Version     string `json:"version"`
	Summary     string `json:"summary"`
	Description string `json:"description"`
}

// APITag is a group of operations.
type APITag struct {
	Name        string `json:"name"`
	Description string `json:"description"`
}

// APIPath is all that an address answers to.
type APIPath struct {
	Optional   bool           `json:"x-optional"` // the route may be missing
	Parameters []APIParameter `json:"parameters"`
	Get        *APIOperation  `json:"get"`
	Post       *APIOperation  `json:"post"`
	Patch      *APIOperation  `json:"patch"`
}

// Operations are the path's operations by method, in capitals.
func (p APIPath) Operations() Ordered[*APIOperation] {
	var all Ordered[*APIOperation]
	for _, one := range []Named[*APIOperation]{{"POST", p.Post}, {"GET", p.Get}, {"PATCH", p.Patch}} {
		if one.Value != nil {
			all = append(all, one)
		}
	}
	return all
}

// APIOperation is one route.
type APIOperation struct {
	OperationID string                `json:"operationId"`
	Tags        []string              `json:"tags"`
	Summary     string                `json:"summary"`
	Description string                `json:"description"`
	Security    []map[string][]string `json:"security"`
	Parameters  []APIParameter        `json:"parameters"`
	RequestBody *APIBody              `json:"requestBody"`
	Responses   Ordered[APIResponse]  `json:"responses"`
}

// APIParameter is a part of the path, of the query or a header of a request.
type APIParameter struct {
	Ref         string         `json:"$ref"`
	Name        string         `json:"name"`
	In          string         `json:"in"`
	Required    bool           `json:"required"`
	Description string         `json:"description"`
	Schema      APISchema      `json:"schema"`
	Example     jsontext.Value `json:"example"`
}

// APIBody is the body of a request.
type APIBody struct {
	Required bool              `json:"required"`
	Content  Ordered[APIMedia] `json:"content"`
}

// APIResponse is one answer.
type APIResponse struct {
	Ref         string             `json:"$ref"`
	Description string             `json:"description"`
	Headers     Ordered[APIHeader] `json:"headers"`
	Content     Ordered[APIMedia]  `json:"content"`
}

// APIHeader is a header of an answer.
type APIHeader struct {
	Ref         string    `json:"$ref"`
	Required    bool      `json:"required"`
	Description string    `json:"description"`
	Schema      APISchema `json:"schema"`
}

// APIMedia is a body in one content type.
type APIMedia struct {
	Schema   APISchema           `json:"schema"`
	Events   Ordered[APISchema]  `json:"x-events"` // of Server-Sent Events: the data of each kind
	Example  jsontext.Value      `json:"example"`
	Examples Ordered[APIExample] `json:"examples"`
}

// APIExample is a named example.
type APIExample struct {
	Summary string         `json:"summary"`
	Value   jsontext.Value `json:"value"`
}

// APISchema is a JSON schema, as far as it is shown.
type APISchema struct {
	Ref         string             `json:"$ref"`
	Type        jsontext.Value     `json:"type"` // a string or an array of them
	Description string             `json:"description"`
	Format      string             `json:"format"`
	Pattern     string             `json:"pattern"`
	Enum        []jsontext.Value   `json:"enum"`
	Const       jsontext.Value     `json:"const"`
	Default     jsontext.Value     `json:"default"`
	Minimum     jsontext.Value     `json:"minimum"`
	Maximum     jsontext.Value     `json:"maximum"`
	MinLength   jsontext.Value     `json:"minLength"`
	MaxLength   jsontext.Value     `json:"maxLength"`
	MinItems    jsontext.Value     `json:"minItems"`
	MaxItems    jsontext.Value     `json:"maxItems"`
	Required    []string           `json:"required"`
	Properties  Ordered[APISchema] `json:"properties"`
	Items       *APISchema         `json:"items"`
	OneOf       []APISchema        `json:"oneOf"`
	AllOf       []APISchema        `json:"allOf"`
}

// APIComponents are the parts that operations refer to.
type APIComponents struct {
	SecuritySchemes Ordered[APISecurity]  `json:"securitySchemes"`
	Parameters      Ordered[APIParameter] `json:"parameters"`
	Headers         Ordered[APIHeader]    `json:"headers"`
	Responses       Ordered[APIResponse]  `json:"responses"`
	Schemas         Ordered[APISchema]    `json:"schemas"`
}

// APISecurity is a way to say who one is.
type APISecurity struct {
	Type        string `json:"type"`
	Scheme      string `json:"scheme"`
	In          string `json:"in"`
	Name        string `json:"name"`
	Description string `json:"description"`
}

// Parameter is the parameter itself, if p only refers to one.
func (d *Document) Parameter(p APIParameter) APIParameter {
	return resolved(p, p.Ref, d.Components.Parameters)
}

// Response is the answer itself, if r only refers to one.
func (d *Document) Response(r APIResponse) APIResponse {
	return resolved(r, r.Ref, d.Components.Responses)
}

// Header is the header itself, if h only refers to one.
func (d *Document) Header(h APIHeader) APIHeader { return resolved(h, h.Ref, d.Components.Headers) }

func resolved[T any](one T, ref string, all Ordered[T]) T {
	if found, ok := all.Get(RefName(ref)); ref != "" && ok {
		return found
	}
	return one
}

// RefName is the last part of a reference: Order of #/components/schemas/Order.
func RefName(ref string) string { return ref[strings.LastIndexByte(ref, '/')+1:] }

// Ordered is a JSON object whose members keep their order.
type Ordered[T any] []Named[T]

// Named is a member of an object.
type Named[T any] struct {
	Name  string
	Value T
}

// Get finds a member by its name.
func (o Ordered[T]) Get(name string) (T, bool) {
	for _, one := range o {
		if one.Name == name {
			return one.Value, true
		}
	}
	var zero T
	return zero, false
}

// UnmarshalJSONFrom reads an object.
func (o *Ordered[T]) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	if kind := dec.PeekKind(); kind != '{' {
		return fmt.Errorf("an object begins with %s", kind)
	}
	if _, err := dec.ReadToken(); err != nil {
		return err
	}
	for dec.PeekKind() != '}' {
		name, err := dec.ReadToken()
		if err != nil {
			return err
		}
		one := Named[T]{Name: name.String()}
		if err := json.UnmarshalDecode(dec, &one.Value); err != nil {
			return err
		}
		*o = append(*o, one)
	}
	_, err := dec.ReadToken()
	return err
}
