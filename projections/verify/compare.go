package verify

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

// model is a read model's table, compared row by row.
type model interface {
	table() string
	// page reads rows in the order of their keys, after one; "" is before the first.
	page(ctx context.Context, after string, limit int) ([]row, error)
	// again reads the rows of some keys as they are now.
	again(ctx context.Context, keys []string) ([]row, error)
	// fold is the row that the log makes, and false if it makes none; it is marked as seen.
	fold(f *fold, key string) (row, bool)
	// unseen calls fn for every row that the log makes and that was not seen.
	unseen(f *fold, fn func(key string))
}

// row is a row of a read model: stored, or made from the log.
type row struct {
	model   model
	key     string
	stream  string // that feeds it
	version int64
	cells   any    // the other columns: a comparable struct whose fields name them by the tag db; nil: only their sum is known
	sum     digest // of orderCells that the log makes
}

// expected are stored rows that are ahead of the fold, by stream:version.
type expected map[string][]row

// comparison compares one table with the fold. Rows are compared at equal versions only: where the fold
// is behind, it goes on, and meets the row at its version; where the row is behind, it is read again.
type comparison struct {
	pass   *pass
	model  model
	wait   time.Duration
	behind map[string]row // rows that are behind, by key; one that is missing has version 0
}

func (c *comparison) run(ctx context.Context) error {
	c.behind = map[string]row{}
	read := int64(0)
	for after := ""; ; {
		page, err := c.model.page(ctx, after, pageRows)
		if err != nil {
			return fmt.Errorf("read rows after %q: %w", after, err)
		}
		for _, r := range page {
			c.sort(r)
			after = r.key
		}
		read += int64(len(page))
		c.pass.comparing(c.model.table(), read, max(read, c.pass.fold.rowsOf(c.model.table())))
		if len(page) < pageRows {
			break
		}
	}
	c.model.unseen(c.pass.fold, func(key string) { c.behind[key] = row{model: c.model, key: key} })
	if err := c.settle(ctx); err != nil {
		return err
	}
	return c.pass.explain(ctx)
}

// sort compares a stored row if its version is the fold's, and keeps it for later if not.
func (c *comparison) sort(stored row) {
	stored.model = c.model
	made, known := c.model.fold(c.pass.fold, stored.key)
	delete(c.behind, stored.key)
	switch {
	case !known || stored.version > made.version:
		id := stored.stream + ":" + strconv.FormatInt(stored.version, 10)
		c.pass.awaited[id] = append(c.pass.awaited[id], stored)
	case stored.version < made.version:
		c.behind[stored.key] = stored
	default:
		c.pass.compare(stored, made)
	}
}

// settle goes on until every row was compared or the time is up.
func (c *comparison) settle(ctx context.Context) error {
	end := time.NewTimer(c.wait)
	defer end.Stop()
	for late, first := false, len(c.behind); ; {
		if len(c.behind) > 0 {
			c.pass.comparing("wait for "+c.model.table(), int64(first-len(c.behind)), int64(first))
		}
		if err := c.meet(ctx); err != nil {
			return err
		}
		if err := c.excuse(ctx); err != nil {
			return err
		}
		if len(c.behind) == 0 {
			return nil
		}
		if late {
			c.giveUp()
			return nil
		}
		pause := time.NewTimer(pollEvery)
		select {
		case <-ctx.Done():
			pause.Stop()
			return ctx.Err()
		case <-end.C:
			late = true // one look more, because rows may have been read long ago
			pause.Stop()
		case <-pause.C:
		}
		if err := c.readAgain(ctx); err != nil {
			return err
		}
	}
}

// meet lets the fold go on to the head. A row that it has not met by then shows what never happened.
func (c *comparison) meet(ctx context.Context) error {
	if len(c.pass.awaited) == 0 {
		return nil
	}
	if err := c.pass.advance(ctx); err != nil {
		return err
	}
	for id, rows := range c.pass.awaited {
		for _, r := range rows {
			made, known := c.model.fold(c.pass.fold, r.key)
			if known {
				c.pass.found.add(KindRow, r.name(), 0, "version %d, but the log makes no such version; its newest is %d", r.version, made.version)
			} else {
				c.pass.found.add(KindRow, r.name(), 0, "the log makes no such row")
			}
		}
		delete(c.pass.awaited, id)
	}
	return nil
}

func (c *comparison) readAgain(ctx context.Context) error {
	keys := make([]string, 0, len(c.behind))
	for key := range c.behind {
		keys = append(keys, key)
	}
	for len(keys) > 0 {
		n := min(len(keys), pageRows)
		rows, err := c.model.again(ctx, keys[:n])
		if err != nil {
			return fmt.Errorf("read %d rows again: %w", n, err)
		}
		for _, r := range rows {
			c.sort(r)
		}
		keys = keys[n:]
	}
	return nil
}

func (c *comparison) giveUp() {
	for key, stored := range c.behind {
		name := stored.name()
		made, _ := c.model.fold(c.pass.fold, key)
		if stored.version == 0 {
			c.pass.found.add(KindBehind, name, 0, "the row is missing; the log makes it at version %d of %s", made.version, made.stream)
			continue
		}
		c.pass.found.add(KindBehind, name, 0, "version %d, the log is at %d", stored.version, made.version)
	}
}

func (r row) name() string { return r.model.table() + " " + r.key }

// comparing tells how far a comparison is.
func (p *pass) comparing(what string, done, total int64) {
	if p.cfg.Comparing != nil {
		p.cfg.Comparing(what, done, total)
	}
}

// compare judges a stored row and the log's at the same version.
func (p *pass) compare(stored, made row) {
	switch {
	case made.cells != nil && stored.cells == made.cells:
		p.rows[stored.model.table()]++
	case made.cells != nil:
		columns, detail := columnsOf(differences(stored.cells, made.cells))
		p.found.addRow(stored, columns, detail)
	case p.sumOf(stored) == made.sum:
		p.rows[stored.model.table()]++
	default:
		p.found.addRow(stored, nil, "it is not what the log makes")
		if p.found.count <= MaxFindings {
			p.unexplained = append(p.unexplained, unexplained{len(p.found.list) - 1, stored})
		}
	}
}
