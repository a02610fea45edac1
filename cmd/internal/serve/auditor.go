package serve

import (
	"context"

	"boxoffice/eventstore"
	"boxoffice/projections/verify"
)

// startAuditor judges every append, and the rows of the read models. Each process with this role does so by itself:
// there is no lock to lose, and none stands by.
func (s *service) startAuditor(front start) error {
	db, err := eventstore.OpenDB(s.Config.DatabaseURL.Reveal(), 1)
	if err != nil {
		return err
	}
	auditor := verify.NewAuditor(db, verify.AuditConfig{Log: s.Log})
	s.metrics.auditor(auditor.Status)
	front("auditor", func(ctx context.Context) error {
		defer func() { _ = db.Close() }()
		return auditor.Run(ctx)
	})
	return nil
}
