package main

import (
	"slices"
	"strings"
	"testing"

	"boxoffice/domain"
	"boxoffice/eventstore"
	"boxoffice/internal/messaging"
)

func TestDoctorComparesTheTopicsWithTheLog(t *testing.T) {
	t.Parallel()
	environ, cfg, db, _ := unpublished(t)
	says := func(environ []string, want string) {
		t.Helper()
		r := runs(t, environ, "doctor")
		if !strings.Contains(r.stdout, want) {
			t.Errorf("%q is missing in\n%s", want, r.stdout)
		}
	}
	says(environ, "ok   published events: 0 of 3, in 0 messages")
	runs(t, environ, "relay", "--from", "1", "--yes").must(t, exitOK)
	says(environ, "ok   published events: 3 of 3, in 3 messages")
	elsewhere := append(slices.Clone(environ), "KAFKA_TOPIC_PREFIX="+cfg.TopicPrefix+"other-")
	says(elsewhere, "warn published events: the topics have had 0 messages, and the relay has published 3 events: topics were made anew; publish them again: boxoffice relay --from 1")

	// The log loses its end, and sells on.
	for _, statement := range []string{
		`ALTER TABLE events DISABLE TRIGGER events_append_only`, `DELETE FROM events WHERE position = 3`,
		`UPDATE log_head SET position = 2`, `UPDATE checkpoints SET position = 2 WHERE name = 'relay'`,
	} {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	says(environ, "fail published events: "+cfg.TopicPrefix+messaging.OrdersTopic+"/")
	says(environ, "ends with show-1:3 of position 3, which the log does not have: the log was set back")
	write(t, eventstore.New(db, eventstore.Config{}), domain.SalesResumed{ShowID: 1})
	says(environ, "ends with show-1:3 of position 3, where the log has show-1:3: the log was set back")
}
