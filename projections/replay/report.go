package replay

import "time"

// Phase is what a replay does just now.
type Phase string

// The phases, in their order. With more rows than fit into memory, reading and writing take turns.
const (
	Reading        Phase = "read"     // the log, up to the head of the beginning
	Writing        Phase = "write"    // rows into the new tables
	Indexing       Phase = "index"    // keys and indexes of the new tables
	Catching       Phase = "catch up" // with what was appended meanwhile
	Comparing      Phase = "compare"  // the new tables with the old ones
	Swapping       Phase = "swap"     // the new tables take the place of the old ones
	unitEvents           = "events"
	unitRows             = "rows"
	unitReadModels       = "read models"
	unitIndexes          = "statements"
)

// Progress is how far a phase is.
type Progress struct {
	Phase Phase  `json:"phase"`
	Pass  int    `json:"pass,omitempty"` // of reading and writing, 1 unless the rows did not fit into memory
	Done  int64  `json:"done"`
	Total int64  `json:"total"`          // as it is known now; it may grow
	Unit  string `json:"unit"`           // events, rows, statements or read models
	Note  string `json:"note,omitempty"` // what it waits for
}

// Report is what a replay did and found.
type Report struct {
	Head            int64         `json:"head"`   // position of the log that the new tables show
	Events          int64         `json:"events"` // folded; those of the beginning once for every pass
	Passes          int           `json:"passes"`
	Took            time.Duration `json:"-"`
	Seconds         float64       `json:"seconds"`
	EventsPerSecond float64       `json:"eventsPerSecond"` // of the log, over the whole time
	DryRun          bool          `json:"dryRun"`
	ReadModels      []ReadModel   `json:"readModels"`
}

// ReadModel is what became of one read model.
type ReadModel struct {
	Projection string   `json:"projection"`
	Swapped    bool     `json:"swapped"`
	Tables     []Table  `json:"tables"`
	Parked     []Parked `json:"parked,omitempty"` // streams that could not be folded; their rows stop before
}

// Table is a table of a read model: the new one beside the old one.
type Table struct {
	Table   string `json:"table"`
	Rows    int64  `json:"rows"`    // of the new table that were compared
	Moved   int64  `json:"moved"`   // changed whenever they were looked at, and so are not compared
	Equal   int64  `json:"equal"`   // at equal versions, with equal contents
	Behind  int64  `json:"behind"`  // in the old table at a lower version, or not yet there
	Differ  int64  `json:"differ"`  // at equal versions, with other contents
	Surplus int64  `json:"surplus"` // in the old table only, or there at a version that the log has not
	// WasEmpty: the old table had no rows, so there was nothing to compare; all are behind.
	WasEmpty bool `json:"wasEmpty,omitempty"`
	// Differences are the first MaxDifferences of those that differ or are too many.
	Differences []Difference `json:"differences,omitempty"`
}

// MaxDifferences is how many differences a table's report lists; more are only counted.
const MaxDifferences = 20

// Difference is a row that was not what the log says.
type Difference struct {
	Key     string `json:"key"`
	Version int64  `json:"version"` // of the old row
	Detail  string `json:"detail"`
}

// Parked is a stream that could not be folded, and why.
type Parked struct {
	Stream  string `json:"stream"`
	Version int64  `json:"version"`
	Reason  string `json:"reason"`
}

// Differs reports whether any row of the old tables was not what the log says, or stayed behind it.
func (r Report) Differs() bool {
	for _, m := range r.ReadModels {
		for _, t := range m.Tables {
			if t.Differ > 0 || t.Surplus > 0 || t.Behind > 0 {
				return true
			}
		}
	}
	return false
}
