package domain

// layered is a map that may lie over another one: it keeps only what differs and never touches the map
// below. So a draft of a hot show costs what the batch changes, not what the show holds.
type layered[K comparable, V any] struct {
	own  map[K]V
	gone map[K]struct{} // deleted here, though the map below has it
	base *layered[K, V]
}

func (l *layered[K, V]) get(k K) (V, bool) {
	if v, ok := l.own[k]; ok {
		return v, true
	}
	if l.hides(k) {
		var none V
		return none, false
	}
	return l.base.get(k)
}

// hides reports whether nothing below may be seen under a key.
func (l *layered[K, V]) hides(k K) bool {
	if l.base == nil {
		return true
	}
	_, gone := l.gone[k]
	return gone
}

func (l *layered[K, V]) set(k K, v V) {
	if l.own == nil {
		l.own = make(map[K]V)
	}
	l.own[k] = v
	if l.base == nil {
		return
	}
	if l.gone == nil {
		l.gone = make(map[K]struct{})
	}
	l.gone[k] = struct{}{}
}

func (l *layered[K, V]) remove(k K) {
	delete(l.own, k)
	if l.base == nil {
		return
	}
	if l.gone == nil {
		l.gone = make(map[K]struct{})
	}
	l.gone[k] = struct{}{}
}

// each visits every entry once, in no order.
func (l *layered[K, V]) each(visit func(K, V)) {
	for k, v := range l.own {
		visit(k, v)
	}
	if l.base == nil {
		return
	}
	l.base.each(func(k K, v V) {
		if _, gone := l.gone[k]; !gone {
			visit(k, v)
		}
	})
}
