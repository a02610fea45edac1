package httpapi

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/go-json-experiment/json"
)

// maxPooledBytes is the largest buffer that is kept for the next request.
const maxPooledBytes = 64 << 10

// buffers holds byte buffers for bodies and answers; a body is decoded and gone before its buffer returns.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

func putBuffer(b *bytes.Buffer) {
	if b.Cap() <= maxPooledBytes {
		buffers.Put(b)
	}
}

// JSON answers with a value as JSON. It follows the rules of encoding/json/v2: a nil slice is [], and a field
// is left out when it is zero by the tag omitzero (omitempty leaves out only empty strings, arrays and objects).
func JSON(w http.ResponseWriter, status int, v any) error { return writeJSON(w, status, jsonType, v) }

func writeJSON(w http.ResponseWriter, status int, contentType string, v any) error {
	buffer := buffers.Get().(*bytes.Buffer)
	defer putBuffer(buffer)
	buffer.Reset()
	if err := json.MarshalWrite(buffer, v, json.Deterministic(true)); err != nil {
		return fmt.Errorf("encode the answer: %w", err)
	}
	send(w, status, contentType, buffer.Bytes())
	return nil
}

// send writes a whole answer. A failed write means that the caller is gone, which is nobody's fault.
func send(w http.ResponseWriter, status int, contentType string, body []byte) {
	header := w.Header()
	header.Set("Content-Type", contentType)
	header.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// ETag sets a strong entity tag made of a version and reports whether the caller has it already; then it has
// answered 304 and the handler is done.
func ETag(w http.ResponseWriter, r *http.Request, version int64) bool {
	tag := `"` + strconv.FormatInt(version, 10) + `"`
	w.Header().Set("ETag", tag)
	w.Header().Set("Cache-Control", "no-cache")
	for known := range strings.SplitSeq(r.Header.Get("If-None-Match"), ",") {
		// If-None-Match compares weakly (RFC 9110), and proxies weaken tags when they compress.
		if known = strings.TrimPrefix(strings.TrimSpace(known), "W/"); known == tag || known == "*" {
			w.WriteHeader(http.StatusNotModified)
			return true
		}
	}
	return false
}
