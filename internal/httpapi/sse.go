package httpapi

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"
)

// HeartbeatEvery is how often a quiet stream sends a comment, so that proxies keep it and a dead caller is noticed.
const HeartbeatEvery = 15 * time.Second

// eventTimeout is how long a caller may take to accept one event before the stream ends.
const eventTimeout = 10 * time.Second

// lastEventHeader carries the id of the last event that a caller has seen.
const lastEventHeader = "Last-Event-ID"

// Events writes Server-Sent Events to one caller. It is for one goroutine.
type Events struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

// LastEventID is the version that a caller has seen last, 0 if it has seen none. Errors: *Problem.
func LastEventID(r *http.Request) (int64, error) {
	version, _, err := HeaderInt(r, lastEventHeader)
	return version, err
}

// HeadEvents answers HEAD of a stream.
func HeadEvents(w http.ResponseWriter) {
	header := w.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Accel-Buffering", "no") // or nginx holds events back
}

// StartEvents begins a stream: headers out, the server's time limits for this connection lifted. Its route must
// be a Stream, and its request no HEAD. A caller who is gone shows at the first event. Errors: the connection
// can't be streamed to.
func StartEvents(w http.ResponseWriter) (*Events, error) {
	e := &Events{w: w, control: http.NewResponseController(w)}
	HeadEvents(w)
	if err := e.control.SetReadDeadline(time.Time{}); errors.Is(err, http.ErrNotSupported) {
		return nil, fmt.Errorf("lift the read limit of a stream: %w", err)
	}
	w.WriteHeader(http.StatusOK)
	if err := e.write(nil); errors.Is(err, http.ErrNotSupported) {
		return nil, err
	}
	return e, nil
}

// EncodeEvent is an event as it is written, for callers who are many; id is what Last-Event-ID brings back.
// Errors: v is no JSON.
func EncodeEvent(name, id string, v any) ([]byte, error) {
	var buffer bytes.Buffer
	fmt.Fprintf(&buffer, "event: %s\nid: %s\ndata: ", name, id)
	// JSON has no raw line ends, so one data line carries it.
	if err := json.MarshalWrite(&buffer, v, json.Deterministic(true)); err != nil {
		return nil, fmt.Errorf("encode event %s: %w", name, err)
	}
	buffer.WriteString("\n\n")
	return buffer.Bytes(), nil
}

// SendEncoded writes an event of EncodeEvent. Errors: the caller is gone.
func (e *Events) SendEncoded(event []byte) error { return e.write(event) }

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
