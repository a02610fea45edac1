package verify

import (
	"context"
	"fmt"
)

// unexplained is a row of order_status that is not what the log makes, by its sum.
type unexplained struct {
	finding int // its place in the list
	stored  row
}

func (p *pass) sumOf(stored row) digest {
	c, ok := stored.cells.(orderCells)
	if !ok {
		return 0
	}
	return c.sum(p.fold.seed)
}

// explain says of rows that were found by their sum which columns differ: it reads their streams again.
func (p *pass) explain(ctx context.Context) error {
	for _, u := range p.unexplained {
		made, err := ordersRow(ctx, p.log, u.stored)
		if err != nil {
			return err
		}
		columns, detail := columnsOf(differences(u.stored.cells, made))
		if len(columns) == 0 || u.finding >= len(p.found.list) {
			continue // the log was changed after it was read, which is a finding of its own
		}
		f := &p.found.list[u.finding]
		f.Columns, f.Detail = columns, fmt.Sprintf("version %d: %s", u.stored.version, detail)
	}
	p.unexplained = nil
	return nil
}

// ordersRow folds an order's stream up to the version of its row, and keeps what the row must show.
func ordersRow(ctx context.Context, log reader, stored row) (orderCells, error) {
	f := newFold(&findings{}) // what is wrong with the stream was found before
	var kept orderCells
	f.kept = &kept
	if err := f.goOn(ctx, log, stored.stream, 0, stored.version); err != nil {
		return kept, err
	}
	place, o := f.orders.open(stored.key)
	c := f.orderCells(place, o)
	c.Lines, c.PlacedAt, c.ExpiresAt, c.CustomerRef = kept.Lines, kept.PlacedAt, kept.ExpiresAt, kept.CustomerRef
	c.Payment, c.Tickets = kept.Payment, kept.Tickets
	return c, nil
}

// goOn folds the events of one stream after a version, up to another.
func (f *fold) goOn(ctx context.Context, log reader, stream string, after, upTo int64) error {
	for after < upTo {
		page, err := log.stream(ctx, stream, after, pageEvents)
		if err != nil {
			return err
		}
		for i := range page {
			if after = page[i].Version; after > upTo {
				return nil
			}
			f.event(&page[i])
		}
		if len(page) < pageEvents {
			return nil
		}
	}
	return nil
}
