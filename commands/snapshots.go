package commands

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"boxoffice/domain"
	"boxoffice/eventstore"
)

const (
	dirtyQueue    = 64               // shows that wait for a snapshot
	snapshotLimit = 30 * time.Second // for one snapshot
)

// Snapshotter saves the states of hot shows, so that a writer that starts need not read all their events.
// It folds them by itself, off the writer's path: a snapshot is disposable and never trusted by verify.
type Snapshotter struct {
	store *eventstore.Store
	log   *slog.Logger
	dirty chan int64
}

// NewSnapshotter makes a snapshotter. Dirty is where writers ask for snapshots.
func NewSnapshotter(store *eventstore.Store, log *slog.Logger) *Snapshotter {
	return &Snapshotter{store: store, log: log, dirty: make(chan int64, dirtyQueue)}
}

// Dirty takes the ids of shows that have grown; a full queue may be passed over.
func (s *Snapshotter) Dirty() chan<- int64 { return s.dirty }

// Run works until ctx ends.
func (s *Snapshotter) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case id := <-s.dirty:
			if err := s.save(ctx, id); err != nil && ctx.Err() == nil {
				s.log.Warn("a show has no new snapshot", "show", id, "error", err)
			}
		}
	}
}

func (s *Snapshotter) save(ctx context.Context, id int64) error {
	ctx, cancel := context.WithTimeout(ctx, snapshotLimit)
	defer cancel()
	show, err := loadShow(ctx, s.store, id)
	if err != nil {
		return err
	}
	last, err := s.store.ReadStream(ctx, domain.ShowStream(id), show.Version-1, 1)
	if err != nil || len(last) == 0 {
		return fmt.Errorf("read the last event of show %d: %w", id, err)
	}
	data, err := show.Snapshot()
	if err != nil {
		return fmt.Errorf("snapshot show %d: %w", id, err)
	}
	err = s.store.SaveSnapshot(ctx, eventstore.Snapshot{
		Stream: domain.ShowStream(id), Version: show.Version, Position: last[0].Position, Format: domain.ShowSnapshotFormat, Data: data,
	})
	if err != nil {
		return fmt.Errorf("save the snapshot of show %d: %w", id, err)
	}
	return nil
}
