package messaging

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/IBM/sarama"
)

// Limits of the clients. Broker settings that they depend on are named.
const (
	dialTimeout       = 5 * time.Second
	publishTimeout    = 8 * time.Second        // for a broker's answer
	replicaTimeout    = 5 * time.Second        // for its replicas, within that
	metadataBackoff   = 250 * time.Millisecond // Watermill's 2 s makes every failure slow
	maxMessageBytes   = 1_000_000              // of a batch of messages; message.max.bytes of a broker is 1,048,588 by default
	fetchWait         = 100 * time.Millisecond
	commitInterval    = 500 * time.Millisecond
	sessionTimeout    = 10 * time.Second // a group gives a dead member's partitions away after it
	heartbeatInterval = time.Second      // a member learns of a rebalance by its next heartbeat
	rebalanceTimeout  = 15 * time.Second // a member that has not let go by then is thrown out; longer than any drain
	batchBuffer       = 2048             // messages buffered per partition for a BatchConsumer
	windowBuffer      = 256              // messages buffered per partition for a WindowedSubscriber
	clientID          = "boxoffice"
)

// Config says how to reach Kafka. Every client gets settings of its own from it: sarama's balance strategy
// has state, so that two clients with one *sarama.Config race.
type Config struct {
	Brokers     []string // host:port
	TopicPrefix string   // put before every topic's name and every group's
	InstanceID  string   // stable name of this replica; empty for a client that comes once (a test, a tool)
	Version     sarama.KafkaVersion
	Partitions  int32 // of a topic that is created; 0 means 8
	Replication int16 // of a topic that is created; 0 means 1
	// CreateTopics lets EnsureTopics create what is missing.
	CreateTopics bool
	TLS          bool
	CA           []byte // PEM certificates to trust instead of the machine's
	SASL         SASL
}

// SASL is how to sign in. The zero value does not.
type SASL struct {
	Mechanism string // PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512
	Username  string
	Password  string
}

// instanceForm is what Kafka allows in names of topics, groups' members and clients.
func instanceForm() *regexp.Regexp { return regexp.MustCompile(`^[a-zA-Z0-9._-]{0,100}$`) }

// Validate returns everything that is wrong with the configuration, joined.
func (c Config) Validate() error {
	var problems []error
	if len(c.Brokers) == 0 {
		problems = append(problems, errors.New("no Kafka brokers"))
	}
	if !instanceForm().MatchString(c.InstanceID) {
		problems = append(problems, fmt.Errorf("instance id %q: letters, digits, '.', '_' and '-' only, 100 at most", c.InstanceID))
	}
	if !instanceForm().MatchString(c.TopicPrefix) {
		problems = append(problems, fmt.Errorf("topic prefix %q: letters, digits, '.', '_' and '-' only, 100 at most", c.TopicPrefix))
	}
	if c.Partitions < 0 || c.Replication < 0 {
		problems = append(problems, fmt.Errorf("%d partitions, replication %d: must not be negative", c.Partitions, c.Replication))
	}
	if len(c.CA) > 0 {
		if !c.TLS {
			problems = append(problems, errors.New("a CA without TLS"))
		}
		if !x509.NewCertPool().AppendCertsFromPEM(c.CA) {
			problems = append(problems, errors.New("the CA has no PEM certificate"))
		}
	}
	return errors.Join(append(problems, c.SASL.validate())...)
}

// base is what all clients have in common; a new one at every call.
func (c Config) base() (*sarama.Config, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("kafka configuration: %w", err)
	}
	s := sarama.NewConfig()
	s.ClientID = clientID
	if c.InstanceID != "" {
		s.ClientID += "-" + c.InstanceID
	}
	// sarama's own default is older than what Kafka 4 still speaks, and must not be above the broker's.
	s.Version = sarama.V4_0_0_0
	if c.Version != (sarama.KafkaVersion{}) {
		s.Version = c.Version
	}
	s.Net.DialTimeout = dialTimeout
	s.Metadata.Retry.Backoff = metadataBackoff
	s.Metadata.AllowAutoTopicCreation = false
	if c.TLS {
		s.Net.TLS.Enable = true
		s.Net.TLS.Config = &tls.Config{MinVersion: tls.VersionTLS12}
		if len(c.CA) > 0 {
			s.Net.TLS.Config.RootCAs = x509.NewCertPool()
			s.Net.TLS.Config.RootCAs.AppendCertsFromPEM(c.CA)
		}
	}
	c.SASL.apply(s)
	return s, nil
}

// producer is for everything that publishes.
func (c Config) producer() (*sarama.Config, error) {
	s, err := c.base()
	if err != nil {
		return nil, err
	}
	s.Net.MaxOpenRequests = 1 // required by Idempotent
	s.Producer.Idempotent = true
	s.Producer.RequiredAcks = sarama.WaitForAll
	s.Producer.Retry.Max = 3
	s.Producer.Retry.Backoff = 100 * time.Millisecond
	s.Producer.MaxMessageBytes = maxMessageBytes
	// A publish must not outlast the time a process has to stop, whatever became of the broker.
	s.Producer.Timeout = replicaTimeout
	s.Net.ReadTimeout, s.Net.WriteTimeout = publishTimeout, publishTimeout
	s.Producer.Partitioner = sarama.NewMurmur2Partitioner // keys land where Kafka's own clients put them
	s.Producer.Compression = sarama.CompressionLZ4        // the cheapest, and cheaper than sending what it saves
	s.Producer.Return.Successes = true
	s.Producer.Return.Errors = true
	// Flush stays zero: with one caller a flush interval is a ceiling on throughput.
	return s, nil
}

// reader is for everything that consumes.
func (c Config) reader(buffer int) (*sarama.Config, error) {
	s, err := c.base()
	if err != nil {
		return nil, err
	}
	s.ChannelBufferSize = buffer
	s.Consumer.MaxWaitTime = fetchWait
	s.Consumer.Return.Errors = true
	s.Consumer.Offsets.Initial = sarama.OffsetOldest // with the newest a first start loses what came before
	return s, nil
}

// member is for a member of a consumer group. The same instance of the same group has the same id after a
// restart, and so its partitions again at once instead of after the session's timeout.
func (c Config) member(group string, buffer int) (*sarama.Config, error) {
	s, err := c.reader(buffer)
	if err != nil {
		return nil, err
	}
	if group == "" {
		return nil, errors.New("kafka configuration: no consumer group")
	}
	s.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{sarama.NewBalanceStrategySticky()}
	s.Consumer.Group.Session.Timeout = sessionTimeout
	s.Consumer.Group.Heartbeat.Interval = heartbeatInterval
	s.Consumer.Group.Rebalance.Timeout = rebalanceTimeout
	s.Consumer.Offsets.AutoCommit.Enable = true // without it every mark is a round trip
	s.Consumer.Offsets.AutoCommit.Interval = commitInterval
	if c.InstanceID != "" {
		s.Consumer.Group.InstanceId = c.InstanceID + "-" + group
	}
	return s, nil
}

// Group is a consumer group's name on the brokers. Each handler has a group of its own: members of one
// group that subscribe to different topics rebalance each other.
func (c Config) Group(name string) string { return c.TopicPrefix + name }
