package replay_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"boxoffice/domain"
	"boxoffice/eventstore"
	"boxoffice/projections"
	"boxoffice/projections/replay"
)

// interrupted is a projection to whose consumer something happens between reading rows and writing them.
type interrupted struct {
	projections.Projection
	between func()
}

type interruptedRows struct {
	projections.Bulk
	of *interrupted
}

func (p *interrupted) Rows() projections.Bulk { return interruptedRows{p.Projection.Rows(), p} }

func (r interruptedRows) Load(ctx context.Context, db sqlx.QueryerContext, keys []string) error {
	err := r.Bulk.Load(ctx, db, keys)
	if between := r.of.between; between != nil {
		r.of.between = nil
		between()
	}
	return err
}

func TestABatchThatWasFoldedFromTheOldTablesIsFoldedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 3_000)
	last := w.lastOrderEvent(t)
	id := strings.TrimPrefix(last.Stream, "order-")
	events, err := w.store.ReadStream(t.Context(), last.Stream, 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	p := &interrupted{Projection: projections.OrderStatus()}
	a := projections.NewApplier(p, w.db, w.store, slog.New(slog.DiscardHandler))
	if _, err := a.Start(t.Context(), projections.OrdersTopic, 0, 0, 1<<40); err != nil {
		t.Fatal(err)
	}
	batch := messages(events)
	if err := a.Apply(t.Context(), projections.OrdersTopic, 0, batch[:len(batch)-1]); err != nil {
		t.Fatal(err)
	}
	ref := w.text(t, `SELECT customer_ref FROM order_status WHERE order_id = $1`, id)
	w.exec(t, `UPDATE order_status SET customer_ref = 'somebody else' WHERE order_id = $1`, id)
	// The consumer has read the row that was tampered with when a replay swaps the tables. One event more comes, so
	// that what it makes of the old row would be the newest version.
	more := w.append(t, last.Stream, domain.OrderRefunded{OrderStep: domain.OrderStep{OrderID: id, Status: domain.Completed}, RefundID: "R", Refund: domain.RefundDone}, "")
	p.between = func() {
		w.replay(t, replay.Config{})
		w.exec(t, `UPDATE order_status SET version = version - 1 WHERE order_id = $1`, id)
	}
	next := projections.Message{Offset: int64(len(batch)), Message: eventstore.ToMessage(more)}
	if err := a.Apply(t.Context(), projections.OrdersTopic, 0, append(batch[len(batch)-1:], next)); err != nil {
		t.Fatal(err)
	}
	if now := w.text(t, `SELECT customer_ref FROM order_status WHERE order_id = $1`, id); now != ref {
		t.Errorf("the row was made from that of %q", now)
	}
	if now := w.text(t, `SELECT version::text FROM order_status WHERE order_id = $1`, id); now != fmt.Sprint(more.Version) {
		t.Errorf("the row is at version %s", now)
	}
}

func (w *world) lastOrderEvent(t *testing.T) eventstore.Recorded {
	t.Helper()
	page, err := w.store.ReadAll(t.Context(), 0, eventstore.MaxPage)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range slices.Backward(page) {
		if e.Type == "OrderCompleted" {
			return e
		}
	}
	t.Fatal("no order was completed")
	return eventstore.Recorded{}
}

func messages(events []eventstore.Recorded) (batch []projections.Message) {
	for i, e := range events {
		batch = append(batch, projections.Message{Offset: int64(i), Message: eventstore.ToMessage(e)})
	}
	return batch
}

// append writes an event by hand.
func (w *world) append(t *testing.T, stream string, ev domain.Event, data string) eventstore.Recorded {
	t.Helper()
	head, err := w.store.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	before, _, err := w.store.LastAt(t.Context(), stream, head.Position)
	if err != nil {
		t.Fatal(err)
	}
	if data == "" {
		encoded, err := domain.Encode(ev)
		if err != nil {
			t.Fatal(err)
		}
		data = string(encoded)
	}
	e := eventstore.Event{
		Stream: stream, Version: before.Version + 1, Type: ev.EventType(), SchemaVersion: 1, Data: []byte(data), Metadata: []byte(`{"batch":"by hand"}`),
	}
	after, err := w.store.Append(t.Context(), eventstore.Batch{Head: head, Time: head.Time.Add(time.Second), Events: []eventstore.Event{e}})
	if err != nil {
		t.Fatal(err)
	}
	return eventstore.Recorded{Event: e, Position: after.Position, RecordedAt: after.Time}
}

func TestAStreamThatCanNotBeFoldedIsParkedByAReplayToo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2_000)
	last := w.lastOrderEvent(t)
	id := strings.TrimPrefix(last.Stream, "order-")
	poison := w.append(t, last.Stream, domain.OrderRefunded{}, `{"orderId":17}`)
	w.append(t, last.Stream, domain.OrderRefunded{OrderStep: domain.OrderStep{OrderID: id, Status: domain.Completed}, RefundID: "R", Refund: domain.RefundDone}, "")
	w.exec(t, `INSERT INTO parked (projection, stream, version, position, type, reason) VALUES ('order_status', 'order-of-old', 1, 1, 'x', 'long mended')`)
	report := w.replay(t, replay.Config{})
	var parked []replay.Parked
	for _, m := range report.ReadModels {
		parked = append(parked, m.Parked...)
	}
	if len(parked) != 1 || parked[0].Stream != last.Stream || parked[0].Version != poison.Version {
		t.Fatalf("%+v", parked)
	}
	if version := w.text(t, `SELECT version::text FROM order_status WHERE order_id = $1`, id); version != "3" && poison.Version != 4 {
		t.Errorf("the row stands at version %s", version)
	}
	if marks := w.text(t, `SELECT string_agg(stream || ':' || version, ' ') FROM parked`); marks != poison.ID() {
		t.Errorf("parked is %s", marks)
	}
	t.Run("and once it is discarded it is left out", func(t *testing.T) {
		w.append(t, domain.InboxStream(time.Now()), domain.StreamDiscarded{
			Projection: "order_status", Stream: last.Stream, Version: poison.Version, Reason: "by hand", DiscardedAt: time.Now(),
		}, "")
		report := w.replay(t, replay.Config{})
		for _, m := range report.ReadModels {
			if len(m.Parked) > 0 {
				t.Errorf("%+v", m.Parked)
			}
		}
		if marks := w.text(t, `SELECT count(*)::text FROM parked`); marks != "0" {
			t.Errorf("%s streams are parked", marks)
		}
	})
}

func TestARowThatCanNotBeStoredParksItsStream(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2_000)
	last := w.lastOrderEvent(t)
	id := strings.TrimPrefix(last.Stream, "order-")
	// A reason with a NUL is no text for Postgres.
	canceled := w.append(t, last.Stream, domain.OrderCanceled{}, `{"orderId":"`+id+`","status":"CANCELED","reason":"\u0000"}`)
	report := w.replay(t, replay.Config{})
	var parked []replay.Parked
	for _, m := range report.ReadModels {
		parked = append(parked, m.Parked...)
	}
	if len(parked) != 1 || parked[0].Stream != last.Stream || parked[0].Version != canceled.Version || !strings.Contains(parked[0].Reason, "stored") {
		t.Fatalf("%+v", parked)
	}
	if status := w.text(t, `SELECT status FROM order_status WHERE order_id = $1`, id); status != "COMPLETED" {
		t.Errorf("the row says %s", status)
	}
}

func TestWhatHangsOnATableIsNotLeftBehind(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.exec(t, `CREATE VIEW busiest AS SELECT show_id, count(*) FROM order_status GROUP BY show_id`)
	_, err := w.tryReplay(t, replay.Config{})
	dependents, ok := errors.AsType[*replay.DependentsError](err)
	if !ok || dependents.Table != "order_status" || !slices.Contains(dependents.Dependents, "the view busiest") {
		t.Fatal(err)
	}
}

func TestASwapWaitsForReadersAndLetsThemPass(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2_000)
	reader, err := w.db.BeginTxx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = reader.Rollback() }()
	var count int
	if err := reader.GetContext(t.Context(), &count, `SELECT count(*) FROM order_status`); err != nil {
		t.Fatal(err)
	}
	released := make(chan error, 1)
	w.replay(t, replay.Config{Projections: []projections.Projection{projections.OrderStatus()}, Progress: func(p replay.Progress) {
		if p.Phase != replay.Swapping || p.Done != 0 {
			return
		}
		go func() {
			// The swap is refused a few times while others read on.
			for range 5 {
				within, cancel := context.WithTimeout(t.Context(), 2*time.Second)
				err := w.db.GetContext(within, new(int), `SELECT count(*) FROM order_status`)
				cancel()
				if err != nil {
					released <- err
					return
				}
			}
			released <- reader.Rollback()
		}()
	}})
	if err := <-released; err != nil {
		t.Fatal(err)
	}
	w.replay(t, replay.Config{})
	w.proves(t)
}

func TestAnInterruptedReplayLeavesTheTablesInUseAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 4_000)
	w.project(t)
	before := w.digest(t)
	for _, phase := range []replay.Phase{replay.Reading, replay.Writing, replay.Indexing, replay.Comparing, replay.Swapping} {
		ctx, cancel := context.WithCancel(t.Context())
		session, err := w.db.Connx(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_, err = replay.Run(ctx, w.db, session, replay.Config{Projections: projections.All(), Progress: func(p replay.Progress) {
			if p.Phase == phase {
				cancel()
			}
		}})
		if !errors.Is(err, context.Canceled) && (err == nil || !strings.Contains(err.Error(), "cancel")) {
			t.Errorf("%s: %v", phase, err)
		}
		if err := session.Close(); err != nil {
			t.Error(err)
		}
		if w.digest(t) != before {
			t.Errorf("%s: the tables in use have changed", phase)
		}
		cancel()
	}
	w.replay(t, replay.Config{})
	if w.digest(t) != before {
		t.Error("the next replay makes something else")
	}
}

func TestStreamsAreParkedInSeveralPassesAsInOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 3_000)
	page, err := w.whole(t)
	if err != nil {
		t.Fatal(err)
	}
	poisoned := 0
	for _, e := range page {
		if e.Type == "OrderCompleted" && poisoned < 12 {
			poisoned++
			w.append(t, e.Stream, domain.OrderRefunded{}, `{"orderId":17}`)
		}
	}
	w.append(t, domain.InboxStream(time.Now()), domain.OpenItemResolved{}, `{"item":17}`)
	w.replay(t, replay.Config{})
	once, marks := w.digest(t), w.text(t, `SELECT string_agg(projection || stream || version, ' ' ORDER BY projection, stream) FROM parked`)
	if report := w.replay(t, replay.Config{MaxRows: 50}); report.Passes < 4 {
		t.Errorf("%d passes", report.Passes)
	}
	if now := w.digest(t); now != once {
		t.Errorf("in several passes\n%s\nin one\n%s", now, once)
	}
	if now := w.text(t, `SELECT string_agg(projection || stream || version, ' ' ORDER BY projection, stream) FROM parked`); now != marks {
		t.Errorf("parked in several passes %s\nin one %s", now, marks)
	}
}

// whole reads the whole of a small log.
func (w *world) whole(t *testing.T) ([]eventstore.Recorded, error) {
	t.Helper()
	return w.store.ReadAll(t.Context(), 0, eventstore.MaxPage)
}

func TestARowThatCanNotBeStoredParksItsStreamAlsoWhileCatchingUp(t *testing.T) {
	t.Parallel()
	for _, rows := range []int64{0, 50} {
		w := newWorld(t, 2_000)
		last := w.lastOrderEvent(t)
		id := strings.TrimPrefix(last.Stream, "order-")
		var canceled eventstore.Recorded
		report := w.replay(t, replay.Config{MaxRows: rows, Progress: func(p replay.Progress) {
			if p.Phase == replay.Indexing && p.Done == 0 && canceled.Version == 0 {
				canceled = w.append(t, last.Stream, domain.OrderCanceled{}, `{"orderId":"`+id+`","status":"CANCELED","reason":"\u0000"}`)
			}
		}})
		var parked []replay.Parked
		for _, m := range report.ReadModels {
			parked = append(parked, m.Parked...)
		}
		if len(parked) != 1 || parked[0].Stream != last.Stream || parked[0].Version != canceled.Version {
			t.Fatalf("%+v", parked)
		}
		if status := w.text(t, `SELECT status FROM order_status WHERE order_id = $1`, id); status != "COMPLETED" {
			t.Errorf("the row says %s", status)
		}
	}
}

func TestAnOlderProgramDoesNotWriteIntoTablesOfANewerDefinition(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1_000)
	a := projections.NewApplier(projections.OrderStatus(), w.db, w.store, slog.New(slog.DiscardHandler))
	if _, err := a.Start(t.Context(), projections.OrdersTopic, 0, 0, 1<<40); err != nil {
		t.Fatal(err)
	}
	w.replay(t, replay.Config{})
	w.exec(t, `UPDATE read_models SET number = 2 WHERE projection = 'order_status'`)
	events, err := w.whole(t)
	if err != nil {
		t.Fatal(err)
	}
	before := w.digest(t)
	if err := a.Apply(t.Context(), projections.OrdersTopic, 0, messages(events)); !errors.Is(err, projections.ErrClaimLost) {
		t.Errorf("it applied with %v", err)
	}
	if _, err := a.Start(t.Context(), projections.OrdersTopic, 0, 0, 1<<40); !errors.Is(err, projections.ErrClaimLost) {
		t.Errorf("it started with %v", err)
	}
	if w.digest(t) != before {
		t.Error("it has written")
	}
}
