//go:build realkafka

package devstack

import "testing"

func TestApacheKafkaEndsWithItsOwner(t *testing.T) {
	t.Parallel()
	h, err := startHelper(t, nil, "kafka", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if processCommand(h.pid) == "" {
		t.Fatal("it does not run")
	}
	h.kill(t)
	eventually(t, "it is gone", func() bool { return processCommand(h.pid) == "" })
}
