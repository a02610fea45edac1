package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/jmoiron/sqlx"

	"boxoffice/projections"
)

// checkReadModels tells read models that an older definition made, and when replay built the others.
func (d *doctor) checkReadModels(ctx context.Context, db *sqlx.DB) {
	models, err := projections.ReadModels(ctx, db)
	if err != nil {
		d.fail("read-models", advice(err), "%v", err)
		return
	}
	var old, known []string
	for _, m := range models {
		switch {
		case m.Number < m.Wanted:
			old = append(old, m.Projection)
		case m.BuiltAt != nil && m.Position != nil:
			known = append(known, fmt.Sprintf("%s was rebuilt at %s up to %d", m.Projection, m.BuiltAt.UTC().Format("2006-01-02 15:04 UTC"), *m.Position))
		}
	}
	switch {
	case len(old) > 0:
		d.warn("read-models", "run boxoffice replay "+strings.Join(old, " "), "made by an older definition: %s", strings.Join(old, ", "))
	case len(known) > 0:
		d.ok("read-models", "of this version's definitions; %s", strings.Join(known, ", "))
	default:
		d.ok("read-models", "of this version's definitions")
	}
}
