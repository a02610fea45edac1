package httpapi

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Option changes how strict decoding is.
type Option uint8

// AllowUnknown lets a body have members that we do not know; they are ignored. For webhooks.
const AllowUnknown Option = 1

// Checker is a request that can tell what is wrong with its values. Decode asks it once the syntax is right.
type Checker interface {
	// Check reports what is missing or out of bounds.
	Check(c *Checks)
}

// Decode reads the body of a request as one JSON value into v, a pointer to a struct of the request's fields.
//
// It takes exactly what the struct describes: members by their exact names, none twice and none unknown, plain
// integers for integers, valid UTF-8 without NUL, at most 32 levels, and null only where a field is an Optional.
// A member that is left out leaves its field zero: whether it may be is said by v's Check, if v is a Checker.
// Errors: *Problem with a JSON pointer to each bad field.
func Decode(r *http.Request, v any) error {
	buffer := buffers.Get().(*bytes.Buffer)
	defer putBuffer(buffer)
	buffer.Reset()
	if _, err := buffer.ReadFrom(r.Body); err != nil {
		return bodyError(err)
	}
	return DecodeBytes(buffer.Bytes(), v)
}

// ReadBody reads the whole body of a request as it came, for what is signed or hashed. Errors: *Problem.
func ReadBody(r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, bodyError(err)
	}
	return body, nil
}

// DecodeBytes is Decode for a body that has been read. Nothing of b is kept. Errors: *Problem.
func DecodeBytes(b []byte, v any, options ...Option) error {
	found := scan(b)
	if found.tooDeep {
		return Invalid(FieldError{Detail: fmt.Sprintf("nests deeper than %d levels", maxDepth)})
	}
	if err := json.Unmarshal(b, v, decodeOptions(found, options)); err != nil {
		return explain(err)
	}
	if found.nul {
		return Invalid(FieldError{Pointer: pointerToNUL(b), Detail: "must not have a NUL character"})
	}
	if checker, ok := v.(Checker); ok {
		var checks Checks
		checker.Check(&checks)
		return checks.Err()
	}
	return nil
}

// bodyError judges a failed read: too large is the caller's fault, and so is a body that ends early or comes too slowly.
func bodyError(err error) error {
	if large, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return tooLargeBody(large.Limit)
	}
	if slow, ok := errors.AsType[net.Error](err); ok && slow.Timeout() {
		p := Invalid(FieldError{Detail: "did not come in time"})
		p.Status = http.StatusRequestTimeout
		return p
	}
	return Invalid(FieldError{Detail: "ended before it was complete"})
}

func tooLargeBody(limit int64) *Problem {
	return tooLarge(fmt.Sprintf("The body is larger than %d bytes.", limit), http.StatusRequestEntityTooLarge)
}

// The sets of options are joined once: it would cost an allocation for each request.
var (
	strict      = json.JoinOptions(json.RejectUnknownMembers(true))
	lenient     = json.DefaultOptionsV2()
	strictOdd   = json.JoinOptions(strict, json.WithUnmarshalers(oddValues))
	lenientOdd  = json.JoinOptions(lenient, json.WithUnmarshalers(oddValues))
	oddValues   = json.UnmarshalFromFunc(refuseOdd)
	errNull     = errors.New("must not be null")
	errNotPlain = errors.New("must be a plain integer")
)

func decodeOptions(found scanned, options []Option) json.Options {
	allowUnknown := len(options) > 0 && options[0] == AllowUnknown
	switch {
	case allowUnknown && found.odd:
		return lenientOdd
	case allowUnknown:
		return lenient
	case found.odd:
		return strictOdd
	default:
		return strict
	}
}

// refuseOdd stands before every value of a body that has a null or a -0 somewhere, which the json package would
// take for the zero value.
func refuseOdd(dec *jsontext.Decoder, v any) error {
	switch dec.PeekKind() {
	case 'n':
		if nullable, ok := v.(interface{ mayBeNull() bool }); ok && nullable.mayBeNull() {
			return errors.ErrUnsupported
		}
		return errNull
	case '0':
		value, err := dec.ReadValue()
		if err != nil {
			return err
		}
		if string(value) == "-0" {
			return errNotPlain
		}
		return json.Unmarshal(value, v)
	default:
		return errors.ErrUnsupported
	}
}

// Optional is a field of a request that may be left out and may be null, and tells the three cases apart.
type Optional[T any] struct {
	Sent  bool // the member was there
	Null  bool // it was null
	Value T    // what it was otherwise
}

func (o *Optional[T]) mayBeNull() bool { return true }

// UnmarshalJSONFrom reads the member.
func (o *Optional[T]) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	o.Sent = true
	if dec.PeekKind() == 'n' {
		o.Null = true
		_, err := dec.ReadToken()
		return err
	}
	return json.UnmarshalDecode(dec, &o.Value)
}

// pointerToNUL finds the string with a NUL in a body that is known to be valid.
func pointerToNUL(b []byte) string {
	dec := jsontext.NewDecoder(bytes.NewReader(b))
	for {
		token, err := dec.ReadToken()
		if err != nil {
			return ""
		}
		if token.Kind() == '"' && hasNUL(token.String()) {
			return string(dec.StackPointer())
		}
	}
}
