package serve_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"boxoffice/cmd/internal/config"
	"boxoffice/projections/verify"
)

// violations are the series of all kinds, each with a count.
func violations(of map[verify.Kind]float64) map[string]float64 {
	series := map[string]float64{}
	for _, kind := range verify.AuditKinds() {
		series[fmt.Sprintf("boxoffice_invariant_violations_total{kind=%q}", kind)] = of[kind]
	}
	return series
}

// awaitAudited waits until the auditor of a process is at the head and has gone over all orders again.
func (p *process) awaitAudited() {
	p.o.t.Helper()
	rounds, _ := figure(p.o.t, p.scrape(), "boxoffice_auditor_rounds_total")
	eventually(p.o.t, "the auditor is at the head and has gone round", func() string {
		text := p.scrape()
		position, known := figure(p.o.t, text, "boxoffice_auditor_position")
		behind, _ := figure(p.o.t, text, "boxoffice_auditor_lag_events")
		seconds, _ := figure(p.o.t, text, "boxoffice_auditor_lag_seconds")
		now, _ := figure(p.o.t, text, "boxoffice_auditor_rounds_total")
		if !known || position != float64(p.o.head()) || behind != 0 || seconds > patience.Seconds() || now < rounds+2 {
			return fmt.Sprintf("at %v of %d, %v behind, %v s ago, round %v after %v", position, p.o.head(), behind, seconds, now, rounds)
		}
		return ""
	})
}

func TestAnAuditorFollowsWhatIsSold(t *testing.T) {
	o := open(t, longHold)
	p := o.start("one", config.AllRoles()...)
	second := o.start("two", config.Projections)
	p.createShow(1, 20)
	var paid string
	for i := range 12 {
		id := p.mustPlace(wish{customer: fmt.Sprint("buyer-", i)})
		switch i % 3 {
		case 0:
			paid = id
			p.mustWebhook(id, "SUCCESS")
		case 1:
			p.mustWebhook(id, "FAILED")
		}
	}
	p.mustWebhook("PAY-20250101-00000001-1", "SUCCESS") // an open item
	o.awaitRest()
	for _, p := range []*process{p, second} {
		p.awaitAudited()
		p.awaitFigures("nothing was found", violations(nil))
		if rows, _ := figure(t, p.scrape(), "boxoffice_auditor_rows_total"); rows < 12 {
			t.Errorf("%v rows were compared", rows)
		}
	}
	o.audit()

	t.Run("and sees that an old row was tampered with", func(t *testing.T) {
		tamper := func(by int) {
			if _, err := o.db.ExecContext(t.Context(), `UPDATE order_status SET total = total + $2 WHERE order_id = $1`, paid, by); err != nil {
				t.Fatal(err)
			}
		}
		tamper(1)
		for _, p := range []*process{p, second} {
			p.awaitFigures("the row is found", violations(map[verify.Kind]float64{verify.KindRow: 1}))
		}
		tamper(-1)
	})
	t.Run("and that an event was forged", func(t *testing.T) {
		var data []byte
		if err := o.db.GetContext(t.Context(), &data, `SELECT data FROM events WHERE type = 'PaymentSettled' AND data->>'orderId' = $1`, paid); err != nil {
			t.Fatal(err)
		}
		forged := map[string]any{}
		if err := json.Unmarshal(data, &forged); err != nil {
			t.Fatal(err)
		}
		forged["previous"] = "SETTLED" // money that came a second time, and that nobody gives back
		data, err := json.Marshal(forged)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := o.db.ExecContext(t.Context(), `WITH head AS (
				UPDATE log_head SET position = position + 1, time = time + interval '1 microsecond', hash = sha256('forged')
				RETURNING position, time, hash
			), last AS (
				SELECT stream, version FROM events WHERE stream = $1 ORDER BY version DESC LIMIT 1
			)
			INSERT INTO events (position, stream, version, type, schema_version, data, metadata, recorded_at, hash)
			SELECT head.position, last.stream, last.version + 1, 'PaymentSettled', 1, $2::text::json, '{}', head.time, head.hash FROM head, last`,
			"payment-PAY-"+strings.TrimPrefix(paid, "ORDER-")+"-1", string(data)); err != nil {
			t.Fatal(err)
		}
		found := violations(map[verify.Kind]float64{verify.KindRow: 1, verify.KindHash: 1, verify.KindMoney: 1})
		p.awaitFigures("the forged event is found", found)
		p.mustPlace(wish{customer: "later"})
		o.awaitRest()
		p.awaitAudited()
		p.awaitFigures("it is counted once", found)
		o.proved = o.head() // what is wrong with this log was proved here
	})
}
