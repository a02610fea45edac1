package main

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"boxoffice/cmd/internal/config"
)

// keys are the demo's secrets. They are kept with the data: tokens and ticket codes are derived from them.
type keys struct {
	Secret   string `json:"secret"`
	Operator string `json:"operator"`
	Webhook  string `json:"webhook"`
}

const (
	keysFile    = "keys.json"
	secretBytes = 32
)

func keptKeys(dir string) (keys, error) {
	path := filepath.Join(dir, keysFile)
	text, err := os.ReadFile(path) //nolint:gosec // the directory is the caller's choice
	if err == nil {
		var k keys
		if err := json.Unmarshal(text, &k); err != nil {
			return k, fmt.Errorf("read %s: %w", path, err)
		}
		return k, nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return keys{}, fmt.Errorf("read the demo's keys: %w", err)
	}
	k := keys{
		Secret: hex.EncodeToString(random()), Operator: "demo_" + hex.EncodeToString(random()),
		Webhook: "whsec_" + base64.StdEncoding.EncodeToString(random()),
	}
	if text, err = json.Marshal(k); err != nil {
		return k, fmt.Errorf("encode the demo's keys: %w", err)
	}
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		return k, fmt.Errorf("keep the demo's keys: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return k, fmt.Errorf("keep the demo's keys: %w", err)
	}
	return k, nil
}

func random() []byte {
	b := make([]byte, secretBytes)
	_, _ = rand.Read(b) // never fails since Go 1.24
	return b
}

// config is the demo's configuration: that of a real service, with servers and secrets of its own.
func (k keys) config(o options, about config.Demo) config.Config {
	return config.Config{
		DatabaseURL: config.URL(about.DatabaseURL),
		Kafka:       config.Kafka{Brokers: about.KafkaBrokers, Partitions: 4, Replication: 1, CreateTopics: true},
		InstanceID:  "demo", PublicURL: about.URL,
		SecretKeys:     config.Secrets{config.Secret(k.Secret)},
		OperatorKeys:   config.OperatorKeys{{Name: "demo", Role: "admin", Key: config.Secret(k.Operator)}},
		PaymentGateway: "simulator", WebhookSecrets: config.Secrets{config.Secret(k.Webhook)},
		HoldTTL: o.holdTTL, LogLevel: o.log, Roles: config.AllRoles(), MigrateAtStart: true,
	}
}
