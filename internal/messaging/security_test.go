package messaging_test

import (
	"crypto/tls"
	"encoding/pem"
	"net/http/httptest"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"

	"boxoffice/internal/messaging"
)

func TestSecurity(t *testing.T) {
	t.Parallel()
	for _, mechanism := range []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"} {
		t.Run(mechanism+" signs in", func(t *testing.T) {
			t.Parallel()
			const user, password = "box,office=1", "s3cret, with = and ,"
			cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.EnableSASL(), kfake.Superuser(mechanism, user, password))
			if err != nil {
				t.Fatal(err)
			}
			defer cluster.Close()
			cfg := messaging.Config{
				Brokers: cluster.ListenAddrs(), CreateTopics: true,
				SASL: messaging.SASL{Mechanism: mechanism, Username: user, Password: password},
			}
			newTopic(t, cfg, "topic", 1)
			publish(t, open(t, cfg), "topic", keyed(t, "k", "v"))
			if got := payloads(read(t, cfg, "topic")); len(got) != 1 {
				t.Errorf("got %q", got)
			}
			cfg.SASL.Password = "wrong"
			if _, err := messaging.Open(cfg); err == nil {
				t.Error("signed in with a wrong password")
			}
		})
	}
	t.Run("TLS trusts the configured CA alone", func(t *testing.T) {
		t.Parallel()
		server := httptest.NewUnstartedServer(nil) // for its certificate of 127.0.0.1
		server.StartTLS()
		defer server.Close()
		cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.TLS(&tls.Config{Certificates: server.TLS.Certificates, MinVersion: tls.VersionTLS12}))
		if err != nil {
			t.Fatal(err)
		}
		defer cluster.Close()
		cfg := messaging.Config{
			Brokers: cluster.ListenAddrs(), CreateTopics: true, TLS: true,
			CA: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}),
		}
		newTopic(t, cfg, "topic", 1)
		publish(t, open(t, cfg), "topic", keyed(t, "k", "v"))
		cfg.CA = nil
		if _, err := messaging.Open(cfg); err == nil {
			t.Error("connected to a broker whose certificate nobody vouches for")
		}
	})
}
