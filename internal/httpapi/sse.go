package httpapi

import (
	"bytes"
	"fmt"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"
)

// HeartbeatEvery is how often a quiet stream sends a comment, so that proxies keep it and a dead caller is noticed.
const HeartbeatEvery = 15 * time.Second

// eventTimeout is how long a caller may take to accept one event before the stream ends.
const eventTimeout = 10 * time.Second

// Events writes Server-Sent Events to one caller. It is for one goroutine.
type Events struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

// StartEvents begins a stream: headers out, the server's time limits for this connection lifted. Its route must
// be a Stream. Errors: the connection can't be streamed to or is gone.
func StartEvents(w http.ResponseWriter) (*Events, error) {
	e := &Events{w: w, control: http.NewResponseController(w)}
	header := w.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("X-Accel-Buffering", "no") // or nginx holds events back
	if err := e.control.SetReadDeadline(time.Time{}); err != nil {
		return nil, fmt.Errorf("lift the read limit of a stream: %w", err)
	}
	w.WriteHeader(http.StatusOK)
	return e, e.write(nil)
}

// Send writes one event; id is what Last-Event-ID brings back. Errors: v is no JSON, or the caller is gone.
func (e *Events) Send(name, id string, v any) error {
	buffer := buffers.Get().(*bytes.Buffer)
	defer putBuffer(buffer)
	buffer.Reset()
	fmt.Fprintf(buffer, "event: %s\nid: %s\ndata: ", name, id)
	// JSON has no raw line ends, so one data line carries it.
	if err := json.MarshalWrite(buffer, v, json.Deterministic(true)); err != nil {
		return fmt.Errorf("encode event %s: %w", name, err)
	}
	buffer.WriteString("\n\n")
	return e.write(buffer.Bytes())
}

// Heartbeat writes a comment, which callers ignore. Errors: the caller is gone.
func (e *Events) Heartbeat() error { return e.write([]byte(":\n\n")) }

func (e *Events) write(b []byte) error {
	if err := e.control.SetWriteDeadline(time.Now().Add(eventTimeout)); err != nil {
		return fmt.Errorf("limit the write of an event: %w", err)
	}
	if _, err := e.w.Write(b); err != nil {
		return fmt.Errorf("write an event: %w", err)
	}
	if err := e.control.Flush(); err != nil {
		return fmt.Errorf("flush an event: %w", err)
	}
	return nil
}
