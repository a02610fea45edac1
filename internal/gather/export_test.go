package gather

// Waiting is the number of callers that wait for a run.
func Waiting[In, Out any](r *Runner[In, Out]) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.waiting)
}
