package devstack_test

import (
	"fmt"

	"boxoffice/internal/devstack"
)

func Example() {
	kafka, err := devstack.StartKafka(devstack.KafkaConfig{}) // in memory, on a free port
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(len(kafka.Brokers()), "broker")
	if err := kafka.Stop(); err != nil {
		fmt.Println(err)
	}
	// Output: 1 broker
}
