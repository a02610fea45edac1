package verify

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// tablesOfShows is how many tables have rows of shows.
const tablesOfShows = 3

// sweepShows reads a few rows of one of the tables of shows, and the past of those shows.
func (a *Auditor) sweepShows(ctx context.Context) error {
	w := &a.sweeps
	t := showTables()[w.turn]
	rows, err := a.rowsAfter(ctx, t, w.show, sweepShows)
	if err != nil {
		return err
	}
	return a.open(ctx, func(ctx context.Context, s source) error {
		shows := make([]int64, len(rows))
		for i := range rows {
			shows[i], _ = splitKey(rows[i].key)
		}
		switch err := a.load(ctx, s, nil, shows); {
		case errors.Is(err, errUnfinished):
			return nil
		case err != nil:
			return err
		}
		for _, r := range rows {
			w.show = r.key
			a.meets(r)
		}
		if len(rows) < sweepShows {
			w.turn, w.show = w.turn+1, ""
		}
		return a.tell(ctx, s)
	})
}

func showTables() [tablesOfShows]table {
	return [...]table{showsTable, typesTable, availabilityTable}
}

// sweepShowsOfLog asks the log for a few shows, and looks whether the rows of each are there and not behind.
func (a *Auditor) sweepShowsOfLog(ctx context.Context, s source) error {
	w := &a.sweeps
	names, err := s.shows(ctx, max(w.show, showPrefix), sweepShows)
	if err != nil {
		return err
	}
	var ids []int64
	for _, name := range names {
		if id, err := strconv.ParseInt(name[len(showPrefix):], 10, 64); err == nil && showStream(id) == name {
			ids = append(ids, id)
		}
	}
	switch err := a.load(ctx, s, nil, ids); {
	case errors.Is(err, errUnfinished):
		return nil
	case err != nil:
		return err
	}
	if len(s.tables) > 0 {
		if err := a.lateShows(ctx, s, ids); err != nil {
			return err
		}
	}
	if len(names) == sweepShows {
		w.show = names[len(names)-1]
		return nil
	}
	w.turn, w.show, w.ended.shows = 0, "", w.late.end()
	a.publishBehind(0)
	return nil
}

// lateShows notes the rows of shows that are missing or behind.
func (a *Auditor) lateShows(ctx context.Context, s source, ids []int64) error {
	touched := map[touchedRow]time.Time{}
	for _, id := range ids {
		if a.pass.fold.shows[id] != nil && !a.isOpaque(showStream(id)) {
			touched[touchedRow{showsTable, strconv.FormatInt(id, 10)}] = time.Time{}
		}
	}
	for t, keys := range a.keysOf(touched) {
		stored, err := s.tables[t].again(ctx, keys)
		if err != nil {
			return fmt.Errorf("read %d rows of %s: %w", len(keys), s.tables[t].table(), err)
		}
		versions := map[string]int64{}
		for _, r := range stored {
			versions[r.key] = r.version
		}
		var late []row
		for _, key := range keys {
			if made, known := s.tables[t].fold(a.pass.fold, key); known && versions[key] < made.version {
				late = append(late, row{key: key, stream: made.stream, version: versions[key]})
			}
		}
		if late, err = s.lags(ctx, t, late); err != nil {
			return err
		}
		for _, r := range late {
			a.sweeps.late.add(t, r, a.cfg.late)
		}
	}
	return nil
}
