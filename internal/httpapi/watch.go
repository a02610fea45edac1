package httpapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"
)

// watchEvery is how often a key file is read again: a revoked key is refused within 5 s.
const watchEvery = 2 * time.Second

// Watch reads the keys again whenever the file's content changes, until ctx ends; it returns nil then. Content
// that can't be read or parsed changes nothing and is logged once.
func (k *OperatorKeys) Watch(ctx context.Context, file string, log *slog.Logger) error {
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	var seen string // what was judged last: a content, or why there was none
	for {
		seen = k.reload(ctx, file, seen, log)
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

func (k *OperatorKeys) reload(ctx context.Context, file, seen string, log *slog.Logger) string {
	content, err := os.ReadFile(file) //nolint:gosec // the operator names the file
	state := string(content)
	if err != nil {
		state = err.Error()
	}
	if state == seen {
		return seen
	}
	var entries []keyEntry
	if err == nil {
		entries, err = parseOperators(state)
	}
	if err == nil && len(entries) == 0 {
		err = errors.New("it names nobody")
	}
	if err != nil {
		log.ErrorContext(ctx, "operator keys stay as they are", "error", fmt.Errorf("read %s: %w", file, err))
		return state
	}
	k.entries.Store(&entries)
	log.InfoContext(ctx, "operator keys read", "operators", len(entries))
	return state
}
