package commands

import "strings"

// Reference says which message of commands-topic a command was. It stands in the log as what caused the command's
// events, so that notifications can name it: the sender knows its order by nothing else.
type Reference struct {
	Source string // ce_source, without a space
	ID     string // ce_id
}

// referenceGap divides source and id. Events' ids have none, so a reference is never taken for one.
const referenceGap = " "

// String is the reference as the log has it, in the causation of events.
func (r Reference) String() string { return r.Source + referenceGap + r.ID }

// ParseReference reads a causation; false if it names no message of commands-topic.
func ParseReference(causation string) (Reference, bool) {
	source, id, ok := strings.Cut(causation, referenceGap)
	if !ok {
		return Reference{}, false
	}
	return Reference{Source: source, ID: id}, true
}
