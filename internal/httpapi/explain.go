package httpapi

import (
	"errors"
	"reflect"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// explain puts an error of the json package into words that help a caller and tell nothing of our types.
func explain(err error) *Problem {
	if semantic, ok := errors.AsType[*json.SemanticError](err); ok {
		return Invalid(FieldError{Pointer: pointerText(semantic.JSONPointer), Detail: explainSemantic(semantic)})
	}
	if syntactic, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		detail := "is not valid JSON at byte " + strconv.FormatInt(syntactic.ByteOffset, 10)
		if errors.Is(err, jsontext.ErrDuplicateName) {
			detail = "is there twice"
		}
		return Invalid(FieldError{Pointer: pointerText(syntactic.JSONPointer), Detail: detail})
	}
	return Invalid(FieldError{Detail: "is not one JSON value"})
}

func explainSemantic(err *json.SemanticError) string {
	switch {
	case errors.Is(err, json.ErrUnknownName):
		return "is not known"
	case errors.Is(err, errNull):
		return errNull.Error()
	case errors.Is(err, errNotPlain):
		return errNotPlain.Error()
	case errors.Is(err, strconv.ErrRange):
		return "is too large a number"
	}
	return "must be " + kindOf(err.GoType)
}

func kindOf(t reflect.Type) string {
	if t == nil {
		return "of another kind"
	}
	if t == reflect.TypeFor[time.Time]() {
		return "a time like 2025-02-03T12:00:00Z"
	}
	switch t.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "a plain integer"
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Struct, reflect.Map:
		return "an object"
	case reflect.Slice, reflect.Array:
		return "an array"
	case reflect.Pointer:
		return kindOf(t.Elem())
	default:
		return "of another kind"
	}
}

// maxPointerBytes keeps a hostile member name from being sent back at length.
const maxPointerBytes = 200

func pointerText(p jsontext.Pointer) string {
	if len(p) > maxPointerBytes {
		return ""
	}
	return string(p)
}
