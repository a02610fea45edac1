package eventstore

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

// Service is the role that a service runs as, where it is not the one that makes the schema.
type Service struct {
	Role string
	// Rights are what the role may do with a table: SELECT, INSERT, UPDATE, DELETE, TRUNCATE.
	Rights func(table string) []string
}

// grant gives the role its rights on the tables of a schema and takes all others from it. A table whose
// rights are right already is left alone, because running systems plan their statements anew after a change.
func (s Service) grant(ctx context.Context, tx *sqlx.Tx, schema string) (excess []string, err error) {
	role := pq.QuoteIdentifier(s.Role)
	var statements []string
	for _, t := range tablesOf(schema) {
		var has []string
		if err := tx.SelectContext(ctx, &has, `SELECT acl.privilege_type FROM pg_class c, aclexplode(c.relacl) acl
			WHERE c.oid = $1::text::regclass AND acl.grantee = $2::text::regrole ORDER BY 1`, t.name, role); err != nil {
			return nil, err
		}
		wanted := slices.Sorted(slices.Values(s.Rights(t.name)))
		if slices.Equal(has, wanted) {
			continue
		}
		statements = append(statements, fmt.Sprintf("REVOKE ALL ON %[1]s FROM %[3]s; GRANT %[2]s ON %[1]s TO %[3]s",
			pq.QuoteIdentifier(t.name), strings.Join(wanted, ", "), role))
	}
	var namespaces []string
	if err := tx.SelectContext(ctx, &namespaces, `SELECT DISTINCT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE c.oid = ANY ($1::text[]::regclass[]) AND NOT has_schema_privilege($2::text, n.oid, 'USAGE')`,
		TextArray(names(tablesOf(schema))), s.Role); err != nil {
		return nil, err
	}
	for _, namespace := range namespaces {
		statements = append(statements, fmt.Sprintf("GRANT USAGE ON SCHEMA %s TO %s", pq.QuoteIdentifier(namespace), role))
	}
	for _, statement := range statements {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return nil, err
		}
	}
	lacking, excess, err := s.Compare(ctx, tx, schema)
	if err == nil && len(lacking) > 0 {
		err = fmt.Errorf("could not give %s", strings.Join(lacking, ", "))
	}
	return excess, err
}

// Compare says which rights on the tables of a schema the role has not and should have, and which it has and
// should not; each as "INSERT on events". Without a Role it judges the one that db is connected as. The
// tables must be there, see Missing.
func (s Service) Compare(ctx context.Context, db sqlx.QueryerContext, schema string) (lacking, excess []string, err error) {
	tables := names(tablesOf(schema))
	var rows []struct {
		Relation  string `db:"relation"`
		Privilege string `db:"privilege"`
		Has       bool   `db:"has"`
	}
	err = sqlx.SelectContext(ctx, db, &rows, `SELECT t.relation, p.privilege,
			has_table_privilege(coalesce(nullif($1::text, ''), current_user), t.relation, p.privilege) AS has
		FROM unnest($2::text[]) WITH ORDINALITY AS t(relation, n),
			unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) WITH ORDINALITY AS p(privilege, n) ORDER BY t.n, p.n`,
		s.Role, TextArray(tables))
	if err != nil {
		return nil, nil, fmt.Errorf("read the rights: %w", err)
	}
	for _, r := range rows {
		wanted := slices.Contains(s.Rights(r.Relation), r.Privilege)
		switch {
		case wanted && !r.Has:
			lacking = append(lacking, r.Privilege+" on "+r.Relation)
		case r.Has && !wanted:
			excess = append(excess, r.Privilege+" on "+r.Relation)
		}
	}
	return lacking, excess, nil
}

func names(tables []table) []string {
	all := make([]string, len(tables))
	for i, t := range tables {
		all[i] = t.name
	}
	return all
}
