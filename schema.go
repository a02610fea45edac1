// Package boxoffice holds what belongs to the whole service: its database schema.
package boxoffice

import _ "embed"

//go:embed schema.sql
var schema string

// Schema is the text of schema.sql: idempotent, to be applied with eventstore.Migrate.
func Schema() string { return schema }

// Rights are what the service's own role may do with a table, where another role makes the schema: events
// are only ever added, people's traces can be blanked but not removed, and the rest of the tables is the
// service's own. Nothing here lets it make a table, so replay, which makes and swaps some, runs as their owner.
func Rights(table string) []string {
	switch table {
	case "events":
		return []string{"SELECT", "INSERT"}
	case "log_head", "requests_mark":
		return []string{"SELECT", "UPDATE"}
	case "customer_key":
		return []string{"SELECT"}
	case "requests":
		return []string{"SELECT", "INSERT"}
	case "requests_0", "requests_1": // reached through requests, and emptied when a generation begins
		return []string{"TRUNCATE"}
	case "contacts", "deliveries", "order_ids", "snapshots":
		return []string{"SELECT", "INSERT", "UPDATE"}
	}
	return []string{"SELECT", "INSERT", "UPDATE", "DELETE"}
}
