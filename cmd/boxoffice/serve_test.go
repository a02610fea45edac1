package main

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"boxoffice/internal/devstack"
)

const patience = 60 * time.Second // on a busy machine

func TestServeRunsUntilItIsTerminated(t *testing.T) {
	t.Parallel()
	pg, kafka, address := devstack.Postgres(t), devstack.Kafka(t), closedAddress(t)
	environ := []string{
		"DATABASE_URL=" + pg.URL, "KAFKA_BROKERS=" + strings.Join(kafka.Brokers, ","), "KAFKA_TOPIC_PREFIX=" + kafka.Prefix,
		"KAFKA_REPLICATION=1", "HTTP_ADDR=" + address, "METRICS_ADDR=127.0.0.1:0", "INSTANCE_ID=test",
		"SECRET_KEYS=0123456789abcdef0123456789abcdef", "OPERATOR_KEYS=ana:admin:0123456789abcdef0123456789abcdef",
		"PAYMENT_WEBHOOK_SECRET=whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3",
	}
	ctx, terminate := context.WithCancel(t.Context())
	code := make(chan int, 1)
	var stderr bytes.Buffer
	go func() {
		code <- run(ctx, []string{"serve"}, surroundings{&stderr, &stderr, environ, "test", nil, false, false})
	}()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for end := time.Now().Add(patience); !answers(t, "http://"+address+"/readyz"); <-look.C {
		if len(code) > 0 || time.Now().After(end) {
			terminate()
			t.Fatalf("it was never ready; exit %d: %s", <-code, stderr.String())
		}
	}
	runs(t, environ, "verify", "--kafka").must(t, exitOK)
	terminate()
	if got := <-code; got != exitOK {
		t.Errorf("exit %d: %s", got, stderr.String())
	}
}

func answers(t *testing.T, url string) bool {
	t.Helper()
	within, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(within, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	return answer.Body.Close() == nil && answer.StatusCode == http.StatusOK
}
