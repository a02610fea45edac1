package verify

import (
	"context"

	"boxoffice/eventstore"
)

// prefetch reads the next page of the log while the last one is folded. It belongs to one goroutine.
type prefetch struct {
	reader
	next chan fetched // at most one reading is under way; nil: none
}

type fetched struct {
	after int64
	page  []eventstore.Recorded
	err   error
}

// page gives what was read ahead if it is that and whole. A page that was short then may be longer now.
func (f *prefetch) page(ctx context.Context, after int64, limit int) ([]eventstore.Recorded, error) {
	ahead := f.wait()
	page := ahead.page
	if ahead.after != after || ahead.err != nil || len(page) < limit {
		var err error
		if page, err = f.reader.page(ctx, after, limit); err != nil {
			return nil, err
		}
	}
	page = page[:min(len(page), limit)]
	if limit == pageEvents && len(page) == limit {
		f.begin(ctx, page[limit-1].Position)
	}
	return page, nil
}

func (f *prefetch) begin(ctx context.Context, after int64) {
	next := make(chan fetched, 1)
	f.next = next
	go func() {
		page, err := f.reader.page(ctx, after, pageEvents)
		next <- fetched{after, page, err}
	}()
}

// wait is what was read ahead, if anything was. It is to be called at the end too.
func (f *prefetch) wait() fetched {
	if f.next == nil {
		return fetched{}
	}
	got := <-f.next
	f.next = nil
	return got
}
