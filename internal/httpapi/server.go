package httpapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"time"
)

// Limits of one connection.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 10 * time.Second
	writeTimeout      = 15 * time.Second
	idleTimeout       = 60 * time.Second
	maxHeaderBytes    = 16 << 10
	shutdownTimeout   = 5 * time.Second // from the end of the process' work to that of its last answer, the drain included
	shutdownLeast     = time.Second     // for answers that are on their way when the drain is over
)

// When callers of a stream that has ended come back, in milliseconds.
const (
	eventStream = "text/event-stream"
	retryFirst  = 500
	retrySpread = 2000
)

// NewServer is a server with limits on everything a slow or large request could hold on to.
func NewServer(addr string, handler http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Addr:              addr,
		Handler:           handler,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// servingKey finds, in a request's context, the context that ends when the server begins to shut down.
type servingKey struct{}

// Draining reports whether the process that serves a request has been told to end: it is not to be sent more.
func Draining(ctx context.Context) bool {
	serving, ok := ctx.Value(servingKey{}).(context.Context)
	return ok && serving.Err() != nil
}

// Serve answers on the listener until ctx ends. It is ServeAndDrain without a drain.
func Serve(ctx context.Context, server *http.Server, listener net.Listener) error {
	return ServeAndDrain(ctx, server, listener, 0)
}

// ServeAndDrain answers on the listener until ctx ends. From then on Draining is true, streams end at once, and each
// answer asks its caller to leave the connection. For the time of the drain everything else is answered as before, so
// that a balancer stops sending before anything is refused. Then the listener closes; what is running may finish, and
// 5 s after the end of ctx (or 1 s after a longer drain) the rest is cut off. It returns nil after that, or the fault
// that stopped it.
func ServeAndDrain(ctx context.Context, server *http.Server, listener net.Listener, drain time.Duration) error {
	base, end := context.WithCancel(context.WithValue(context.WithoutCancel(ctx), servingKey{}, ctx))
	defer end()
	server.BaseContext = func(net.Listener) context.Context { return base }
	server.Handler = leaving(ctx, server.Handler)
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve http on %s: %w", listener.Addr(), err)
	case <-ctx.Done():
	}
	select {
	case err := <-failed:
		return fmt.Errorf("serve http on %s: %w", listener.Addr(), err)
	case <-time.After(drain):
	}
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), max(shutdownTimeout-drain, shutdownLeast))
	defer cancel()
	err := server.Shutdown(limit)
	if errors.Is(err, context.DeadlineExceeded) {
		end()
		err = server.Close()
	}
	<-failed
	if err != nil {
		return fmt.Errorf("end http on %s: %w", listener.Addr(), err)
	}
	return nil
}

// leaving asks callers to go elsewhere once serving has ended. Their connections are left open until they have
// heard it: a connection that is closed while a request is on its way is a failed request.
func leaving(serving context.Context, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if serving.Err() != nil {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
		if serving.Err() != nil && w.Header().Get("Content-Type") == eventStream {
			// They come back at different times, and by then to another process. An error means that nobody listens.
			// The time for the last event may have passed long ago, and the end of the answer needs some too.
			_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(eventTimeout))
			_, _ = fmt.Fprintf(w, "retry: %d\n\n", retryFirst+rand.N(retrySpread)) //nolint:gosec // nothing hangs on it
		}
	})
}
