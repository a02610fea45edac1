package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
)

const demoFile = "demo.json"

// ErrNoDemo is returned where a directory holds no description of a running demo.
var ErrNoDemo = errors.New("no demo is running there")

// Demo is what a running demo tells about itself in DIR/demo.json. It holds secrets in plain text:
// the file's mode is 0600, and nothing prints it.
type Demo struct {
	URL           string   `json:"url"`
	MetricsURL    string   `json:"metricsUrl"`
	OperatorKey   string   `json:"operatorKey"`
	WebhookSecret string   `json:"webhookSecret"`
	DatabaseURL   string   `json:"databaseUrl"`
	KafkaBrokers  []string `json:"kafkaBrokers"`
	PID           int      `json:"pid"`
}

// ReadDemo reads the description of the demo that runs on a directory. Errors: ErrNoDemo, faults of the file.
func ReadDemo(dir string) (Demo, error) {
	text, err := os.ReadFile(filepath.Join(dir, demoFile)) //nolint:gosec // the operator names the directory
	if errors.Is(err, os.ErrNotExist) {
		return Demo{}, fmt.Errorf("%s: %w", filepath.Join(dir, demoFile), ErrNoDemo)
	}
	if err != nil {
		return Demo{}, fmt.Errorf("read the demo's description: %w", err)
	}
	var demo Demo
	if err := json.Unmarshal(text, &demo); err != nil {
		return Demo{}, fmt.Errorf("read %s: %w", filepath.Join(dir, demoFile), err)
	}
	return demo, nil
}

// Write stores the description whole or not at all, readable by its owner only.
func (d Demo) Write(dir string) error {
	text, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the demo's description: %w", err)
	}
	temporary := filepath.Join(dir, demoFile+".new")
	if err := os.WriteFile(temporary, append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("write the demo's description: %w", err)
	}
	if err := os.Rename(temporary, filepath.Join(dir, demoFile)); err != nil {
		return fmt.Errorf("write the demo's description: %w", err)
	}
	return nil
}

// RemoveDemo takes the description away, so that nobody looks for a demo that has ended.
func RemoveDemo(dir string) error {
	if err := os.Remove(filepath.Join(dir, demoFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove the demo's description: %w", err)
	}
	return nil
}

// Values are the variables that the description gives, for Source.Values: all that say where servers are and how
// they are spoken to, so that nothing of the environment's servers is mixed with the demo's.
func (d Demo) Values() map[string]string {
	values := map[string]string{}
	for _, v := range variablesOf(reflect.TypeFor[Tools](), "") {
		values[v.Name] = ""
	}
	values["DATABASE_URL"], values["KAFKA_BROKERS"] = d.DatabaseURL, strings.Join(d.KafkaBrokers, ",")
	return values
}
