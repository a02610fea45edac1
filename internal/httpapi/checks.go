package httpapi

import (
	"fmt"
	"strconv"
	"unicode"
	"unicode/utf8"
)

// Checks collects what is wrong with the values of a request, so that a caller learns all of it at once.
// Pointers are those of the body as it was sent. While nothing is wrong it allocates nothing.
type Checks struct{ errs []FieldError }

// Fail notes that the field at pointer is wrong; detail goes on from its name: "must be in the future".
func (c *Checks) Fail(pointer, detail string) {
	c.errs = append(c.errs, FieldError{Pointer: pointer, Detail: detail})
}

// Present notes a required field that was left out, and passes on whether it was there.
func (c *Checks) Present(pointer string, there bool) bool {
	if !there {
		c.Fail(pointer, "is required")
	}
	return there
}

// Int notes an integer outside smallest … largest.
func (c *Checks) Int(pointer string, v, smallest, largest int64) {
	if v < smallest || v > largest {
		c.Fail(pointer, "must be from "+strconv.FormatInt(smallest, 10)+" to "+strconv.FormatInt(largest, 10))
	}
}

// Text notes a required text that is empty, longer than most characters, or has control characters.
func (c *Checks) Text(pointer, s string, most int) {
	if c.Present(pointer, s != "") {
		c.OptionalText(pointer, s, most)
	}
}

// OptionalText notes a text that is longer than most characters or has control characters.
func (c *Checks) OptionalText(pointer, s string, most int) {
	if len(s) > most && utf8.RuneCountInString(s) > most {
		c.Fail(pointer, fmt.Sprintf("must not be longer than %d characters", most))
		return
	}
	for _, char := range s {
		if unicode.IsControl(char) {
			c.Fail(pointer, "must not have control characters")
			return
		}
	}
}

// Err is nil while nothing is wrong, else a *Problem.
func (c *Checks) Err() error {
	if len(c.errs) == 0 {
		return nil
	}
	return Invalid(c.errs...)
}
