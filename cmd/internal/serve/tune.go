package serve

import (
	"os"
	"runtime/debug"
)

// gcPercent lets the heap grow to five times what lives: states are small, and what a request allocates is
// gone with it, so collecting seldom costs memory that a server has and saves time that buyers wait for.
const gcPercent = 400

// Tune sets the process up for serving. GOGC, where it is set, wins. It is called once, by main.
func Tune() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
}
