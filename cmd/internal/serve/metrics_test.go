package serve_test

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"boxoffice/cmd/internal/config"
	"boxoffice/internal/devstack"
)

// scrape is what Prometheus would read of a process.
func (p *process) scrape() string {
	p.o.t.Helper()
	return p.o.scrape(p.metrics)
}

// scrape is what Prometheus would read at an address.
func (o *office) scrape(url string) string {
	o.t.Helper()
	request, err := http.NewRequestWithContext(o.t.Context(), http.MethodGet, url+"/metrics", nil)
	if err != nil {
		o.t.Fatal(err)
	}
	// The office's client knows only what openapi.yaml describes.
	answer, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(request)
	if err != nil {
		o.t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		o.t.Fatalf("scrape: %s %v", answer.Status, err)
	}
	return string(text)
}

// figure is the value of a series, such as boxoffice_open_items or boxoffice_turns_total{…}; false if it is not there.
func figure(t *testing.T, text, series string) (float64, bool) {
	t.Helper()
	line := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(series) + ` (\S+)$`).FindStringSubmatch(text)
	if line == nil {
		return 0, false
	}
	value, err := strconv.ParseFloat(line[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	return value, true
}

// awaitFigures waits until series have the values they should have.
func (p *process) awaitFigures(what string, want map[string]float64) {
	p.o.t.Helper()
	eventually(p.o.t, what, func() string {
		text := p.scrape()
		for series, value := range want {
			if got, ok := figure(p.o.t, text, series); !ok || got != value {
				return fmt.Sprintf("%s is %v (%v), not %v", series, got, ok, value)
			}
		}
		return ""
	})
}

func TestMetricsTellWhatHappened(t *testing.T) {
	o, p := running(t, longHold)
	p.createShow(1, 10)
	ids := []string{p.mustPlace(wish{customer: "ana"}), p.mustPlace(wish{customer: "ben"}), p.mustPlace(wish{customer: "cem"})}
	p.mustWebhook(ids[0], "SUCCESS")
	p.mustWebhook("PAY-20250101-00000001-1", "SUCCESS") // an open item
	p.send("POST", "/webhooks/payment", []byte(`{}`), "webhook-id", "1", "webhook-timestamp", "1", "webhook-signature", "v1,x")
	o.awaitRest()
	if _, err := o.db.ExecContext(t.Context(), `INSERT INTO parked (projection, stream, version, position, type, reason)
		VALUES ('order_status', 'order-x', 1, 1, 'OrderPlaced', 'for the test')`); err != nil {
		t.Fatal(err)
	}
	p.awaitFigures("all figures are as they should be", map[string]float64{
		`boxoffice_log_head_position`:                                       float64(o.head()),
		`boxoffice_relay_active`:                                            1,
		`boxoffice_relay_position`:                                          float64(o.head()),
		`boxoffice_relay_lag_events`:                                        0,
		`boxoffice_relay_lag_seconds`:                                       0,
		`boxoffice_projection_lag_events{projection="availability"}`:        0,
		`boxoffice_projection_lag_seconds{projection="availability"}`:       0,
		`boxoffice_projection_lag_events{projection="order_status"}`:        0,
		`boxoffice_projection_lag_events{projection="open_items"}`:          0,
		`boxoffice_projection_lag_events{projection="sales_by_day"}`:        0,
		`boxoffice_projection_parked_streams{projection="order_status"}`:    1,
		`boxoffice_projection_parked_streams{projection="availability"}`:    0,
		`boxoffice_consumer_lag_events{group="payments"}`:                   0,
		`boxoffice_consumer_lag_seconds{group="payments"}`:                  0,
		`boxoffice_consumer_lag_events{group="notifications"}`:              0,
		`boxoffice_consumer_lag_events{group="commands"}`:                   0,
		`boxoffice_holds_open`:                                              2,
		`boxoffice_tickets_held`:                                            2,
		`boxoffice_tickets_sold`:                                            1,
		`boxoffice_open_items`:                                              1,
		`boxoffice_dead_letters`:                                            0,
		`boxoffice_webhooks_total{result="accepted"}`:                       1,
		`boxoffice_webhooks_total{result="unmatched"}`:                      1,
		`boxoffice_webhooks_total{result="forged"}`:                         1,
		`boxoffice_decisions_total{command="PlaceOrder",result="accepted"}`: 3,
	})
	if _, err := o.db.ExecContext(t.Context(), `DELETE FROM parked`); err != nil {
		t.Fatal(err)
	}
	text := p.scrape()
	for _, name := range []string{
		"batch_size_bucket", "append_seconds_bucket", "turns_total", "log_replaced_total", "http_request_seconds_bucket",
		"log_head_timestamp_seconds", "oldest_xmin_transactions", "oldest_xmin_seconds", `sample_age_seconds{sample="log"}`,
		`sample_age_seconds{sample="topics"}`, `sample_age_seconds{sample="counts"}`, "projection_folded_total",
	} {
		if !strings.Contains(text, "\nboxoffice_"+name) {
			t.Errorf("boxoffice_%s is missing", name)
		}
	}
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range problems {
		if strings.HasPrefix(problem.Metric, "boxoffice_") {
			t.Errorf("%s: %s", problem.Metric, problem.Text)
		}
	}
}

func TestLagIsSeenWhileSomethingIsAway(t *testing.T) {
	kafka := devstack.OwnKafka(t)
	o := openOn(t, devstack.Postgres(t).URL, kafka, longHold)
	p := o.start("one", config.API, config.Relay, config.Payments)
	projecting := o.start("two", config.Projections)
	p.createShow(1, 1000)
	p.mustPlace(wish{customer: "ana"})
	o.awaitRest()

	t.Run("of a projection that is stopped", func(t *testing.T) {
		projecting.stop()
		for i := range 3 {
			p.mustPlace(wish{customer: fmt.Sprint("buyer-", i)})
		}
		eventually(t, "order_status is behind, the relay is not", func() string {
			text := p.scrape()
			relay, known := figure(t, text, "boxoffice_relay_lag_events")
			events, _ := figure(t, text, `boxoffice_projection_lag_events{projection="order_status"}`)
			seconds, _ := figure(t, text, `boxoffice_projection_lag_seconds{projection="order_status"}`)
			if !known || relay != 0 || events < 6 || seconds < 0.5 || seconds > patience.Seconds()*2 {
				return fmt.Sprintf("relay %v, %v events, %v s", relay, events, seconds)
			}
			return ""
		})
		o.start("three", config.Projections)
		o.awaitRest()
		p.awaitFigures("it has caught up", map[string]float64{
			`boxoffice_projection_lag_events{projection="order_status"}`: 0, `boxoffice_projection_lag_seconds{projection="order_status"}`: 0,
		})
	})
	t.Run("of the relay while Kafka is away", func(t *testing.T) {
		if err := kafka.Server.CutOff(); err != nil {
			t.Fatal(err)
		}
		head := o.head()
		p.mustPlace(wish{customer: "dan"})
		eventually(t, "the relay is behind, and so is what comes after it", func() string {
			text := p.scrape()
			events, _ := figure(t, text, "boxoffice_relay_lag_events")
			seconds, _ := figure(t, text, "boxoffice_relay_lag_seconds")
			projection, _ := figure(t, text, `boxoffice_projection_lag_events{projection="availability"}`)
			if events != float64(o.head()-head) || projection != events || seconds < 1 {
				return fmt.Sprintf("relay %v events, %v s, availability %v", events, seconds, projection)
			}
			return ""
		})
		if err := kafka.Server.Reconnect(); err != nil {
			t.Fatal(err)
		}
		o.awaitRestWithin(2 * patience)
	})
}
