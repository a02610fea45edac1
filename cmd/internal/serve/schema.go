package serve

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/lib/pq/pqerror"

	"boxoffice"
	"boxoffice/eventstore"
)

// errSchema is a database that this program can't work on, however long it waits.
var errSchema = errors.New("the database does not fit this program")

// bringSchema brings the schema up to date if this role may, and else makes sure that it is. Errors:
// errSchema, or what may pass by itself.
func (s *service) bringSchema(ctx context.Context) error {
	if s.Config.MigrateAtStart {
		err := eventstore.Migrate(ctx, s.db, boxoffice.Schema())
		if !refusedBy(err, pqerror.InsufficientPrivilege) {
			return err
		}
		s.Log.InfoContext(ctx, "this role may not change the schema, which is left to boxoffice migrate")
		s.Config.MigrateAtStart = false
	}
	missing, none, err := eventstore.Missing(ctx, s.db, boxoffice.Schema())
	switch {
	case err != nil:
		return err
	case none:
		return errors.New("the schema is not there yet: run boxoffice migrate")
	case len(missing) > 0:
		return fmt.Errorf("%w: its schema is older and lacks %s; run boxoffice migrate of this version", errSchema, strings.Join(missing, ", "))
	}
	lacking, _, err := eventstore.Service{Rights: boxoffice.Rights}.Compare(ctx, s.db, boxoffice.Schema())
	if err == nil && len(lacking) > 0 {
		err = fmt.Errorf("%w: this role lacks %s; run boxoffice migrate with MIGRATE_DATABASE_URL and this DATABASE_URL, or with --grant-to",
			errSchema, strings.Join(lacking, ", "))
	}
	return err
}
