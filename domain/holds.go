package domain

import (
	"container/heap"
	"slices"
	"strings"
	"time"
)

// hold is one order's part of a show's held tickets. It belongs to exactly one holds.
type hold struct {
	orderID     string
	holdID      string
	customerRef string
	lines       []HeldLine
	expiresAt   time.Time
	releaseAt   time.Time
	index       int // place in the queue it belongs to
}

// before orders holds by the time they are due; equal times by order, so that every process agrees.
func (h *hold) before(o *hold) bool {
	if c := h.releaseAt.Compare(o.releaseAt); c != 0 {
		return c < 0
	}
	return h.orderID < o.orderID
}

// holds are a show's open holds, found by order and by the time they are due. Like layered, it may lie
// over the holds of another show state, which it never touches.
type holds struct {
	byOrder layered[string, *hold]
	queue   holdQueue // of own holds only
	base    *holds
}

// over is an empty layer on other holds.
func (h *holds) over() holds {
	return holds{byOrder: layered[string, *hold]{base: &h.byOrder}, base: h}
}

func (h *holds) put(n *hold) {
	h.remove(n.orderID)
	h.byOrder.set(n.orderID, n)
	heap.Push(&h.queue, n)
}

func (h *holds) remove(orderID string) {
	if own, ok := h.byOrder.own[orderID]; ok {
		heap.Remove(&h.queue, own.index)
	}
	h.byOrder.remove(orderID)
}

// overdue reports whether an order has a hold whose release time is not after a time.
func (h *holds) overdue(orderID string, at time.Time) bool {
	n, ok := h.byOrder.get(orderID)
	return ok && !n.releaseAt.After(at)
}

// due returns at most limit holds, oldest first, whose release time is not after a time; with all, whatever
// their time.
func (h *holds) due(at time.Time, all bool, limit int) []*hold {
	if limit <= 0 {
		return nil
	}
	found := h.queue.first(limit, at, all, nil)
	hidden := h.byOrder.hides
	for base := h.base; base != nil; base = base.base {
		seen := hidden
		found = append(found, base.queue.first(limit, at, all, seen)...)
		below := base.byOrder.hides
		hidden = func(orderID string) bool { return seen(orderID) || below(orderID) }
	}
	slices.SortFunc(found, func(a, b *hold) int {
		if c := a.releaseAt.Compare(b.releaseAt); c != 0 {
			return c
		}
		return strings.Compare(a.orderID, b.orderID)
	})
	return found[:min(limit, len(found))]
}

// next is the hold that is due first, or nil.
func (h *holds) next() *hold {
	if h.base == nil {
		if len(h.queue) == 0 {
			return nil
		}
		return h.queue[0]
	}
	if first := h.due(time.Time{}, true, 1); len(first) > 0 {
		return first[0]
	}
	return nil
}

// holdQueue is a heap of holds by the time they are due; each hold knows its place, so any can leave.
type holdQueue []*hold

func (q *holdQueue) Len() int           { return len(*q) }
func (q *holdQueue) Less(i, j int) bool { return (*q)[i].before((*q)[j]) }

func (q *holdQueue) Swap(i, j int) {
	places := *q
	places[i], places[j] = places[j], places[i]
	places[i].index, places[j].index = i, j
}

// Push is for container/heap.
func (q *holdQueue) Push(x any) {
	h, ok := x.(*hold)
	if !ok {
		return
	}
	h.index = len(*q)
	*q = append(*q, h)
}

// Pop is for container/heap.
func (q *holdQueue) Pop() any {
	last := len(*q) - 1
	h := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	return h
}

// first walks the heap from its top, best place first, without changing it: limit results cost
// O(n log n) in the places visited, however long the queue is.
func (q *holdQueue) first(limit int, at time.Time, all bool, hidden func(orderID string) bool) []*hold {
	queue := *q
	if len(queue) == 0 || (!all && queue[0].releaseAt.After(at)) {
		return nil
	}
	var found []*hold
	open := &frontier{queue: queue, places: []int{0}}
	for open.Len() > 0 && len(found) < limit {
		place, ok := heap.Pop(open).(int)
		if !ok {
			break
		}
		h := queue[place]
		if !all && h.releaseAt.After(at) {
			break
		}
		if hidden == nil || !hidden(h.orderID) {
			found = append(found, h)
		}
		for child := 2*place + 1; child <= 2*place+2 && child < len(queue); child++ {
			heap.Push(open, child)
		}
	}
	return found
}

// frontier is a heap of places in a holdQueue.
type frontier struct {
	queue  holdQueue
	places []int
}

func (f *frontier) Len() int           { return len(f.places) }
func (f *frontier) Less(i, j int) bool { return f.queue[f.places[i]].before(f.queue[f.places[j]]) }
func (f *frontier) Swap(i, j int)      { f.places[i], f.places[j] = f.places[j], f.places[i] }

// Push is for container/heap.
func (f *frontier) Push(x any) {
	if place, ok := x.(int); ok {
		f.places = append(f.places, place)
	}
}

// Pop is for container/heap.
func (f *frontier) Pop() any {
	last := len(f.places) - 1
	place := f.places[last]
	f.places = f.places[:last]
	return place
}
