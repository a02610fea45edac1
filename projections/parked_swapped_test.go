package projections

import (
	"testing"

	"boxoffice/domain"
	"boxoffice/eventstore"
)

func TestARetryBeginsAgainWhenAReplaySwapsTheTables(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		swaps int
		fails bool
	}{"as often as may be": {swapTries - 1, false}, "always": {1 << 30, true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			id, _ := stuck(t, w)
			p, begun := *mended().(*Model[OrderState]), 0
			decode := p.Decode
			p.Decode = func(e eventstore.Recorded) (domain.Event, error) {
				if e.Version == 2 {
					if begun++; begun <= c.swaps {
						if _, err := w.db.ExecContext(t.Context(), `UPDATE checkpoints SET generation = generation + 1 WHERE name = 'order_status'`); err != nil {
							t.Error(err)
						}
					}
				}
				return decode(e)
			}
			still, err := Retry(t.Context(), &p, w.db, w.store, domain.OrderStream(id))
			if (err != nil) != c.fails || still != nil {
				t.Errorf("it is %+v, %v", still, err)
			}
			if begun < swapTries || (len(w.parked(t)) == 1) != c.fails {
				t.Errorf("it began %d times, parked %+v", begun, w.parked(t))
			}
		})
	}
}
