package domain

import "testing"

func TestASnapshot(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.run(concert(), place(1, "ann"), placeOf(2, 1, "bob"), paid(order2, "r1"), PauseSales{show1})
	t.Run("goes on as the show does", func(t *testing.T) {
		t.Parallel()
		again, err := RestoreShow([]byte(snapshot(t, w.states.Shows[show1])))
		if err != nil {
			t.Fatal(err)
		}
		wantEqual(t, snapshot(t, again), snapshot(t, w.states.Shows[show1]))
		wantEqual(t, again.Due(), w.states.Shows[show1].Due())
		wantEqual(t, again.Taken("bob", 2), 1)
	})
	for name, data := range map[string]string{
		"that is no JSON is refused":                      `{`,
		"of another format is refused":                    `{"format":2}`,
		"without a format is refused":                     `{}`,
		"with a type twice is refused":                    `{"format":1,"ticketTypes":[{"ticketTypeId":1},{"ticketTypeId":1}],"totals":[{"ticketTypeId":1},{"ticketTypeId":1}]}`,
		"whose totals are of other types is refused":      `{"format":1,"ticketTypes":[{"ticketTypeId":1}],"totals":[{"ticketTypeId":2}]}`,
		"whose totals and types differ in number is, too": `{"format":1,"ticketTypes":[{"ticketTypeId":1}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := RestoreShow([]byte(data)); err == nil {
				t.Error("no error")
			}
		})
	}
}

func TestFoldingTheLog(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.run(concert(), place(1, "ann"), paid("x", ""))
	t.Run("takes every version once", func(t *testing.T) {
		t.Parallel()
		states := NewStates()
		for range 2 {
			for _, d := range w.log {
				wantEqual(t, states.Evolve(d.Stream, d.Version, d.Event), true)
			}
		}
		wantEqual(t, snapshot(t, states.Shows[show1]), snapshot(t, w.states.Shows[show1]))
		wantEqual(t, states.Orders[order1].Version, 1)
		wantEqual(t, states.Payments[pay1].Version, 1)
		wantEqual(t, states.Inboxes[inbox1].Version, 1)
	})
	t.Run("tells of a version that is missing", func(t *testing.T) {
		t.Parallel()
		states := States{Shows: map[int64]*Show{show1: {Version: 1, ShowID: show1}}}
		wantEqual(t, states.Evolve("show-1", 3, SalesPaused{}), false)
		wantEqual(t, states.Shows[show1].Paused, false)
	})
	t.Run("leaves alone what was not loaded", func(t *testing.T) {
		t.Parallel()
		states := NewStates()
		wantEqual(t, states.Evolve("show-1", 3, SalesPaused{}), true)
		wantEqual(t, states.Evolve("show-x", 1, SalesPaused{}), true)
		wantEqual(t, states.Evolve("elsewhere", 1, SalesPaused{}), true)
		wantEqual(t, len(states.Shows), 0)
	})
	t.Run("counts events that it does not know", func(t *testing.T) {
		t.Parallel()
		show, order, payment, inbox := Show{}, Order{}, Payment{}, Inbox{}
		for _, state := range []interface{ Evolve(e Event) }{&show, &order, &payment, &inbox} {
			state.Evolve(unheard{})
		}
		wantEqual(t, show.Version+order.Version+payment.Version+inbox.Version, 4)
	})
}

type unheard struct{}

func (unheard) EventType() string { return "Unheard" }
