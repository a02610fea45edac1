package config

import (
	"fmt"
	"os"

	"boxoffice/internal/messaging"
)

// Messaging is the configuration as the Kafka clients take it, with the authority's certificates read
// from their file. A tool that comes once has no instance id.
func (k Kafka) Messaging(instanceID string) (messaging.Config, error) {
	m := messaging.Config{
		Brokers: k.Brokers, TopicPrefix: k.TopicPrefix, InstanceID: instanceID,
		Partitions: k.Partitions, Replication: k.Replication, CreateTopics: k.CreateTopics, TLS: k.TLS,
		SASL: messaging.SASL{Mechanism: k.SASLMechanism, Username: k.Username, Password: k.Password.Reveal()},
	}
	if k.CAFile == "" {
		return m, nil
	}
	ca, err := os.ReadFile(k.CAFile)
	if err != nil {
		return m, fmt.Errorf("KAFKA_CA_FILE: %w", err)
	}
	m.CA = ca
	return m, nil
}
