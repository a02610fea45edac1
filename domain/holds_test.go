package domain

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Holds in layers answer as a plain map does that is sorted at every question, and a layer never shows
// through to the one below.
func TestHoldsInLayers(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		layers, models := []*holds{{}}, []map[string]time.Time{{}}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			top := len(layers) - 1
			id := fmt.Sprint(rapid.IntRange(0, 20).Draw(t, "id"))
			switch at := begin.Add(time.Duration(rapid.IntRange(0, 5).Draw(t, "at")) * time.Second); rapid.IntRange(0, 9).Draw(t, "do") {
			case 0:
				if top < 3 {
					over := layers[top].over()
					layers = append(layers, &over)
					models = append(models, cloned(models[top]))
				}
			case 1, 2, 3, 4:
				layers[top].remove(id)
				delete(models[top], id)
			default:
				layers[top].put(&hold{orderID: id, releaseAt: at})
				models[top][id] = at
			}
			for i := range layers {
				limit := rapid.IntRange(0, 25).Draw(t, "limit")
				until := begin.Add(time.Duration(rapid.IntRange(-1, 6).Draw(t, "until")) * time.Second)
				all := rapid.Bool().Draw(t, "all")
				compareDue(t, layers[i], models[i], until, all, limit)
			}
		}
	})
}

func cloned(m map[string]time.Time) map[string]time.Time {
	return maps.Clone(m)
}

func compareDue(t *rapid.T, h *holds, model map[string]time.Time, until time.Time, all bool, limit int) {
	t.Helper()
	var want []string
	for id, at := range model {
		if all || !at.After(until) {
			want = append(want, at.Format(time.RFC3339)+" "+id)
		}
	}
	slices.Sort(want)
	var got []string
	for _, n := range h.due(until, all, limit) {
		got = append(got, n.releaseAt.Format(time.RFC3339)+" "+n.orderID)
	}
	if want = want[:min(limit, len(want))]; !slices.Equal(got, want) {
		t.Fatalf("due until %s (all %v, limit %d)\n got %v\nwant %v", until, all, limit, got, want)
	}
	seen := 0
	h.byOrder.each(func(string, *hold) { seen++ })
	if next := h.next(); seen != len(model) || (next == nil) != (len(model) == 0) {
		t.Fatalf("%d holds, want %d; next is %v", seen, len(model), next)
	}
}
