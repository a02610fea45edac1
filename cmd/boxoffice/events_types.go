package main

import (
	"strings"

	"boxoffice/domain"
)

// nearEnough is how many letters of a name may be wrong for it to be meant.
const nearEnough = 3

// nearType names the known event types that a name may be meant for.
func nearType(name string) string {
	var near []string
	for _, known := range domain.EventTypes() {
		if strings.EqualFold(known, name) || len(name) >= 4 && strings.Contains(strings.ToLower(known), strings.ToLower(name)) ||
			distance(strings.ToLower(known), strings.ToLower(name)) <= nearEnough {
			near = append(near, known)
		}
	}
	if len(near) == 0 {
		return "; a newer program may have written it"
	}
	return "; did you mean " + strings.Join(near, " or ") + "?"
}

// distance counts the letters that must be put in, left out or exchanged to make one word of the other.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
