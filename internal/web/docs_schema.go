package web

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"boxoffice/internal/httpapi"
)

// docsSchema is a named schema.
type docsSchema struct {
	Name        string
	Description string
	Type        docsType
	Fields      []docsField
}

// docsType says what a value is, in words and in the names of other schemas.
type docsType struct {
	Words string
	Refs  []string
}

// docsField is a member of an object; those of objects inside it follow it, with their whole path as name.
type docsField struct {
	Name        string
	Required    bool
	Type        docsType
	Description string
}

// typeOf describes a schema in one line.
func typeOf(s httpapi.APISchema) docsType {
	var t docsType
	switch {
	case s.Ref != "":
		return docsType{Refs: []string{httpapi.RefName(s.Ref)}}
	case len(s.OneOf) > 0 && s.Properties == nil:
		t.Words = "one of"
		for _, one := range s.OneOf {
			t.Refs = append(t.Refs, typeOf(one).Refs...)
		}
		return t
	case len(s.AllOf) > 0:
		for _, one := range s.AllOf {
			t.Refs = append(t.Refs, typeOf(one).Refs...)
		}
		if code, ok := s.Properties.Get("code"); ok {
			t.Words = "with code " + valuesOf(code)
		}
		return t
	case s.Items != nil:
		t = typeOf(*s.Items)
		t.Words = strings.TrimSpace("array of " + t.Words)
		return t
	}
	words := []string{strings.Join(typesOf(s.Type), " or ")}
	if s.Format != "" && s.Format != "int64" {
		words = append(words, s.Format)
	}
	if values := valuesOf(s); values != "" {
		words = append(words, values)
	}
	words = append(words, bounds("", s.Minimum, s.Maximum, ""), bounds("", s.MinLength, s.MaxLength, " characters"))
	if s.Default != nil {
		words = append(words, "default "+string(s.Default))
	}
	t.Words = strings.Join(slices.DeleteFunc(words, func(w string) bool { return w == "" }), ", ")
	return t
}

func typesOf(value jsontext.Value) []string {
	var one string
	if json.Unmarshal(value, &one) == nil {
		return []string{one}
	}
	var several []string
	_ = json.Unmarshal(value, &several) // neither: it has no type of its own
	return several
}

// valuesOf lists what a value may be.
func valuesOf(s httpapi.APISchema) string {
	values := s.Enum
	if s.Const != nil {
		values = []jsontext.Value{s.Const}
	}
	words := make([]string, len(values))
	for i, v := range values {
		words[i] = strings.Trim(string(v), `"`)
	}
	return strings.Join(words, " | ")
}

func bounds(before string, least, most jsontext.Value, after string) string {
	switch {
	case least != nil && most != nil:
		return before + string(least) + " to " + string(most) + after
	case least != nil:
		return before + "at least " + string(least) + after
	case most != nil:
		return before + "at most " + string(most) + after
	default:
		return ""
	}
}

// fieldsOf are the members of an object, or of the objects in an array.
func fieldsOf(s httpapi.APISchema, at string) []docsField {
	if s.Items != nil && s.Items.Ref == "" {
		return fieldsOf(*s.Items, at)
	}
	var fields []docsField
	for _, property := range s.Properties {
		name := at + property.Name
		fields = append(fields, docsField{
			Name: name, Required: slices.Contains(s.Required, property.Name), Type: typeOf(property.Value), Description: property.Value.Description,
		})
		inside := name + "."
		if property.Value.Items != nil {
			inside = name + "[]."
		}
		fields = append(fields, fieldsOf(property.Value, inside)...)
	}
	return fields
}
