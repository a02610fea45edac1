//go:build failpoints

package failpoint

import (
	"os"
	"sync"
)

// Enabled tells whether the program was built with failpoints.
const Enabled = true

// active are the points of this process, read from the environment once.
var active = sync.OnceValue(func() points {
	all, err := parse(os.Getenv("FAILPOINTS"))
	if err != nil {
		panic(err)
	}
	return all
})

// Hit marks a point: depending on FAILPOINTS it returns ErrInjected, returns late or never.
func Hit(name string) error { return active().hit(name, killSelf) }
