package verify

import (
	"bytes"
	"context"
	"encoding/hex"
)

// Kept is the end of the log as an earlier verification told it. Whoever changes the past and rebuilds the chain
// makes another hash of it, so it proves the past if it was kept where they could not reach it.
type Kept struct {
	Position int64
	Hash     []byte
}

// compareKept checks that the log still has the hash that was kept of it.
func (p *pass) compareKept(ctx context.Context) error {
	kept := p.cfg.Kept
	if kept == nil {
		return nil
	}
	page, err := p.log.page(ctx, kept.Position-1, 1)
	if err != nil {
		return err
	}
	switch key := "events"; {
	case len(page) == 0 || page[0].Position != kept.Position:
		p.found.add(KindKept, key, kept.Position, "the log has nothing at position %d any more, it ends at %d", kept.Position, p.position)
	case page[0].Hash == nil:
		p.found.add(KindKept, key, kept.Position, "no append ends at position %d, so it has no hash", kept.Position)
	case !bytes.Equal(page[0].Hash, kept.Hash):
		p.found.add(KindKept, key, kept.Position, "the hash is %x, kept was %x", page[0].Hash, kept.Hash)
	default:
		p.kept = &Head{kept.Position, page[0].RecordedAt.UTC(), hex.EncodeToString(kept.Hash)}
	}
	return nil
}
