// Package boxoffice holds what belongs to the whole service: its database schema.
package boxoffice

import _ "embed"

//go:embed schema.sql
var schema string

// Schema is the text of schema.sql: idempotent, to be applied with eventstore.Migrate.
func Schema() string { return schema }
