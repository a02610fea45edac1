// Package config is the configuration of a Boxoffice process: read once from the environment and
// flags of the same names, checked as a whole, and handed on as plain values.
//
// A variable NAME can be overridden by the flag --name, and NAME_FILE names a file that holds its
// value. Everything that is wrong is told at once, one Problem per variable.
package config

import (
	"log/slog"
	"slices"
	"strings"
	"time"
)

// Config is the configuration of `boxoffice serve`. Load fills and checks it.
//
// The tags are the manual: env is the variable, envDefault its value when nothing is set, about and
// example are what help texts and problems say.
type Config struct {
	DatabaseURL URL   `env:"DATABASE_URL" about:"Postgres with the log and the read models" example:"postgres://boxoffice:PASSWORD@db:5432/boxoffice?sslmode=verify-full"`
	Kafka       Kafka `envPrefix:"KAFKA_"`

	// InstanceID must be stable over restarts and unique among replicas: Kafka knows a consumer by it.
	InstanceID string `env:"INSTANCE_ID" about:"stable name of this replica (default: the host's name)" example:"boxoffice-0"`
	HTTPAddr   string `env:"HTTP_ADDR" envDefault:":8080" about:"where HTTP is served" example:":8080"`
	PublicURL  string `env:"PUBLIC_URL" about:"how buyers reach HTTP_ADDR (default: localhost)" example:"https://tickets.example.com"`
	// Drain is how long HTTP goes on after the end was asked for, while /readyz says 503, so that a balancer notices.
	Drain       time.Duration `env:"DRAIN" envDefault:"3s" about:"how long HTTP serves on after SIGTERM, not ready, 0s to 4s" example:"3s"`
	MetricsAddr string        `env:"METRICS_ADDR" envDefault:"127.0.0.1:9090" about:"where /metrics is served" example:"127.0.0.1:9090"`

	SecretKeys       Secrets      `env:"SECRET_KEYS" about:"comma separated; the first signs, all verify; ≥ 32 characters each" example:"$(openssl rand -hex 32)"`
	OperatorKeys     OperatorKeys `env:"OPERATOR_KEYS" about:"comma separated name:role:key; admin, sales, door, read" example:"ana:admin:$(openssl rand -hex 24)"`
	OperatorKeysFile string       // the path of OPERATOR_KEYS_FILE, which is read again when it changes; empty without it
	ChannelKeys      ChannelKeys  `env:"CHANNEL_KEYS" about:"comma separated name:key of trusted frontends" example:"web:$(openssl rand -hex 24)"`

	RateLimit      float64  `env:"RATE_LIMIT" envDefault:"50" about:"requests a second from one address without a key, twice as many at once; 0: no limit" example:"50"`
	TrustedProxies Networks `env:"TRUSTED_PROXIES" about:"comma separated networks whose X-Forwarded-For is believed" example:"10.0.0.0/8"`

	PaymentGateway string        `env:"PAYMENT_GATEWAY" envDefault:"simulator" about:"who takes the money" example:"simulator"`
	WebhookSecrets Secrets       `env:"PAYMENT_WEBHOOK_SECRET" about:"the gateway's signing secret; two while rotating" example:"whsec_$(openssl rand -base64 32)"`
	HoldTTL        time.Duration `env:"HOLD_TTL" envDefault:"15m" about:"how long an unpaid order holds tickets, 1s to 24h" example:"15m"`

	SMTPURL  URL    `env:"SMTP_URL" about:"server for mails to buyers" example:"smtp://user:PASSWORD@mail:587"`
	MailFrom string `env:"MAIL_FROM" about:"sender of mails to buyers" example:"tickets@example.com"`

	LogLevel     slog.Level `env:"LOG_LEVEL" envDefault:"info" about:"debug, info, warn or error" example:"info"`
	LogFormat    LogFormat  `env:"LOG_FORMAT" envDefault:"auto" about:"json, text, or auto (text on a terminal)" example:"json"`
	OTLPEndpoint string     `env:"OTEL_EXPORTER_OTLP_ENDPOINT" about:"where traces go; none without it" example:"http://otel:4318"`
	TraceRatio   float64    `env:"OTEL_TRACES_SAMPLER_ARG" envDefault:"0.01" about:"share of the traces beginning here that is kept, 0 to 1" example:"0.01"`

	Roles          Roles // what this process does; see AllRoles
	MigrateAtStart bool  // whether the schema is brought up to date before anything else
}

// Kafka says how to reach the broker and how topics are made.
type Kafka struct {
	Brokers       Brokers `env:"BROKERS" about:"comma separated host:port" example:"kafka-0:9092,kafka-1:9092"`
	TLS           bool    `env:"TLS" envDefault:"false" about:"whether to speak TLS" example:"true"`
	CAFile        string  `env:"CA_FILE" about:"PEM file of the authority that signed the brokers' certificates" example:"/etc/boxoffice/kafka-ca.pem"`
	SASLMechanism string  `env:"SASL_MECHANISM" about:"PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512; none without it" example:"SCRAM-SHA-512"`
	Username      string  `env:"USERNAME" about:"with a mechanism" example:"boxoffice"`
	Password      Secret  `env:"PASSWORD" about:"with a mechanism" example:"$(cat /run/secrets/kafka)"`
	TopicPrefix   string  `env:"TOPIC_PREFIX" about:"put before every topic's and group's name" example:"staging."`
	Partitions    int32   `env:"PARTITIONS" envDefault:"8" about:"of a topic when it is created, 1 to 1000" example:"8"`
	Replication   int16   `env:"REPLICATION" envDefault:"3" about:"of a topic when it is created; 1 on a single broker" example:"1"`
	CreateTopics  bool    `env:"CREATE_TOPICS" envDefault:"true" about:"whether missing topics are created" example:"false"`
}

// Role is a part of the service that a process may run.
type Role string

// The roles.
const (
	API           Role = "api"           // HTTP, webhooks, commands-topic, due work
	Relay         Role = "relay"         // log to Kafka
	Projections   Role = "projections"   // Kafka to read models
	Payments      Role = "payments"      // gateway calls
	Notifications Role = "notifications" // mails and other messages to buyers
)

// AllRoles is what a process runs when it is not told otherwise.
func AllRoles() Roles { return Roles{API, Relay, Projections, Payments, Notifications} }

// Roles are the roles of one process.
type Roles []Role

// Has reports whether the process runs a role.
func (r Roles) Has(role Role) bool { return slices.Contains(r, role) }

// String joins the roles by commas, as --roles takes them.
func (r Roles) String() string {
	words := make([]string, len(r))
	for i, role := range r {
		words[i] = string(role)
	}
	return strings.Join(words, ",")
}

// LogFormat is how log lines are written.
type LogFormat string

// The log formats.
const (
	LogAuto LogFormat = "auto" // text on a terminal, else JSON
	LogJSON LogFormat = "json"
	LogText LogFormat = "text"
)
