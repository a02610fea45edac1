package config_test

import (
	"fmt"

	"boxoffice/cmd/internal/config"
)

func ExampleLoad() {
	_, err := config.Load(config.Source{
		Environ:  []string{"DATABASE_URL=postgres://boxoffice@db/boxoffice", "KAFKA_BROKERS=kafka", "HOLD_TTL=0s"},
		Hostname: "box-1",
		Roles:    config.Roles{config.Relay},
	})
	for _, problem := range config.Problems(err) {
		fmt.Println(problem)
	}
	// Output:
	// KAFKA_BROKERS: "kafka" is not host:port (for example KAFKA_BROKERS=kafka-0:9092,kafka-1:9092)
	// HOLD_TTL: 0s is not between 1s and 24h0m0s (for example HOLD_TTL=15m)
}
