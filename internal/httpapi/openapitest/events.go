package openapitest

import (
	"bytes"
	"io"
	"net/http"

	"boxoffice/internal/httpapi"
)

const eventStream = "text/event-stream"

// eventReader looks at the Server-Sent Events that are read through it.
type eventReader struct {
	io.ReadCloser
	check  func(name string, data []byte)
	unread []byte // of an event that is not whole yet
}

// Read passes on what is read and judges each event as soon as it is whole.
func (e *eventReader) Read(p []byte) (int, error) {
	n, err := e.ReadCloser.Read(p)
	e.unread = append(e.unread, p[:n]...)
	for {
		event, rest, whole := bytes.Cut(e.unread, []byte("\n\n"))
		if !whole {
			return n, err
		}
		e.unread = rest
		var name string
		var data []byte
		for line := range bytes.SplitSeq(event, []byte("\n")) {
			field, value, _ := bytes.Cut(line, []byte(": "))
			switch string(field) {
			case "event":
				name = string(value)
			case "data":
				data = bytes.Clone(value)
			}
		}
		if data != nil {
			e.check(name, data)
		}
	}
}

// checkEvent judges the data of one event by the schema that the document gives its kind.
func (r *rules) checkEvent(request *http.Request, name string, data []byte) []string {
	found, operation := r.find(request)
	if operation == nil {
		return nil // checkHead has told
	}
	answer, _ := operation.Responses.Get("200")
	media, _ := r.document.Response(answer).Content.Get(eventStream)
	schema, ok := media.Events.Get(name)
	if !ok {
		return []string{"events named " + name + " are not documented for " + found.path}
	}
	if !r.isDue("event", request.Method, found.path, name, eventStream, shapeOf("json", data)) {
		return nil
	}
	return r.checkSchema(httpapi.RefName(schema.Ref), data)
}
