package verify

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"boxoffice/domain"
	"boxoffice/eventstore"
)

func TestAParkedStreamIsAFindingThatNobodyWaitsFor(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, tamper string
		more         []string
	}{
		{"with the rows that it had", ``, nil},
		{"with another status", `UPDATE order_status SET status = 'CANCELED' WHERE order_id = '` + orderA + `'`, []string{"row order_status " + orderA}},
		{"with more for sale", `UPDATE availability SET capacity = capacity + 1 WHERE ticket_type_id = 2`, []string{"row availability 1/2"}},
		{"of an older version", `UPDATE order_status SET version = 2 WHERE order_id = '` + orderA + `'`, []string{"row order_status " + orderA}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			db := stored(t, story())
			projectBut(t, db, `order_status WHERE order_id = '`+orderA+`'`, `availability WHERE show_id = 1`)
			execAll(t, db, `INSERT INTO parked (projection, stream, version, position, type, reason) VALUES
				('order_status', 'order-`+orderA+`', 4, 20, 'OrderRefunded', 'poison'), ('availability', 'show-1', 4, 16, 'HoldsExpired', 'poison')`)
			if c.tamper != "" {
				execAll(t, db, c.tamper)
			}
			want := append([]string{"parked availability show-1", "parked order_status order-" + orderA}, c.more...)
			slices.Sort(want)
			if got := found(t, db, time.Hour); !slices.Equal(got, want) {
				t.Errorf("found %q, want %q", got, want)
			}
		})
	}
}

// positionPaid is where the story's first order was paid: it is at version 3 then, and its show too.
const positionPaid = 15

// projectBut projects the log, but leaves some rows as they were at positionPaid.
func projectBut(t *testing.T, db *sqlx.DB, rows ...string) {
	t.Helper()
	project(t, db, positionPaid)
	for i, of := range rows {
		execAll(t, db, fmt.Sprintf(`CREATE TABLE old_%d AS SELECT * FROM %s`, i, of))
	}
	project(t, db, 1000)
	for i, of := range rows {
		table, _, _ := strings.Cut(of, " ")
		execAll(t, db, `DELETE FROM `+of, fmt.Sprintf(`INSERT INTO %s SELECT * FROM old_%d`, table, i))
	}
}

func execAll(t *testing.T, db *sqlx.DB, statements ...string) {
	t.Helper()
	for _, statement := range statements {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
}

func TestADiscardedStreamIsToldAndNoFinding(t *testing.T) {
	t.Parallel()
	given := domain.StreamDiscarded{Projection: "order_status", Stream: "order-" + orderA, Version: 4, Reason: "written by hand", DiscardedAt: begin()}
	letter := domain.StreamDiscarded{Letter: &domain.DeadLetter{Topic: "commands-topic", Digest: "x"}, Reason: "spam", DiscardedAt: begin()}
	again := given
	again.Version, again.Reason = 6, "twice"
	db := stored(t, append(story(), []entry{{"inbox-202612", given}, {"inbox-202612", letter}, {"inbox-202612", again}}))
	project(t, db, 1000)
	if got := found(t, db, time.Nanosecond); len(got) != 0 {
		t.Errorf("a row that is whole although nobody asks for it: %q", got)
	}
	execAll(t, db, `DELETE FROM order_status`)
	projectBut(t, db, `order_status WHERE order_id = '`+orderA+`'`)
	r, err := Run(t.Context(), db, Config{Wait: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	want := []Discarded{{"order_status", "order-" + orderA, 4, "written by hand"}}
	if !r.Ok() || !slices.Equal(r.Discarded, want) || r.Rows["order_status"] != 4 {
		t.Errorf("the report is %+v", r)
	}
	for version, why := range map[int]string{4: "went on", 5: "went on further"} {
		if _, err := db.ExecContext(t.Context(), `UPDATE order_status SET version = `+strconv.Itoa(version)+` WHERE order_id = $1`, orderA); err != nil {
			t.Fatal(err)
		}
		if got := found(t, db, time.Nanosecond); !slices.Equal(got, []string{"behind order_status " + orderA}) {
			t.Errorf("a row that %s and then stayed behind: %q", why, got)
		}
	}
}

func TestAnEventWithoutItsDataInATopic(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		large bool
		cut   string
		want  int
	}{
		"may be, if it is large":              {true, "", 0},
		"may not be, if it would fit":         {false, "", 1},
		"is told, if it says another size":    {true, "7", 1},
		"is no other event than the log's is": {true, "type", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			commits := story()
			created := commits[commitShow][0].event.(domain.ShowCreated)
			if c.large {
				created.Venue = string(make([]rune, 200_000)) // six bytes each in JSON
			}
			commits[commitShow][0].event = created
			log := write(t, commits)
			topics := relayed(log.events)
			stub := eventstore.WithoutData(topics.messages[OrdersTopic][0])
			switch c.cut {
			case "":
			case "type":
				stub.Metadata[eventstore.HeaderType] = "boxoffice.SalesPaused.v1"
			default:
				stub.Metadata[eventstore.HeaderCut] = c.cut
			}
			topics.messages[OrdersTopic][0] = stub
			r, err := run(t.Context(), log, nil, Config{Topics: topics.read, Wait: time.Nanosecond})
			if err != nil {
				t.Fatal(err)
			}
			if len(r.Findings) != c.want {
				t.Errorf("found %+v", r.Findings)
			}
		})
	}
}
