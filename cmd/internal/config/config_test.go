package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

const (
	secretKey   = "0123456789abcdef0123456789abcdef"
	operatorKey = "operator-key-of-ana-1"
	channelKey  = "channel-key-of-web-1"
	webhook     = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"
	password    = "pg-password"
)

// complete is an environment with all that a service of every role needs, changed by the given lines;
// a line NAME= takes a variable away.
func complete(changes ...string) Source {
	environ := []string{
		"DATABASE_URL=postgres://boxoffice:" + password + "@db:5432/boxoffice", "KAFKA_BROKERS=kafka-0:9092, kafka-1:9092",
		"SECRET_KEYS=" + secretKey, "OPERATOR_KEYS=ana:admin:" + operatorKey, "PAYMENT_WEBHOOK_SECRET=" + webhook,
	}
	return Source{Environ: append(environ, changes...), Hostname: "box-1", Roles: AllRoles()}
}

func TestACompleteEnvironmentIsEnough(t *testing.T) {
	t.Parallel()
	cfg, err := Load(complete("CHANNEL_KEYS=web:" + channelKey))
	if err != nil {
		t.Fatal(err)
	}
	got := strings.TrimSuffix(fmt.Sprintln(cfg.Kafka.Brokers, cfg.Kafka.Partitions, cfg.Kafka.Replication, cfg.Kafka.CreateTopics, cfg.InstanceID,
		cfg.HTTPAddr, cfg.PublicURL, cfg.MetricsAddr, cfg.PaymentGateway, cfg.HoldTTL, cfg.LogLevel, cfg.LogFormat, cfg.Roles), "\n")
	want := "[kafka-0:9092 kafka-1:9092] 8 3 true box-1 :8080 http://localhost:8080 127.0.0.1:9090 simulator 15m0s INFO auto " +
		"api,relay,projections,payments,notifications"
	if got != want {
		t.Errorf("defaults are\n%s, want\n%s", got, want)
	}
	if cfg.OperatorKeys[0] != (OperatorKey{"ana", Admin, operatorKey}) || cfg.ChannelKeys[0] != (ChannelKey{"web", channelKey}) {
		t.Error("keys were not read as written")
	}
	if cfg.SecretKeys[0].Reveal() != secretKey || cfg.WebhookSecrets[0].Reveal() != webhook || !strings.Contains(cfg.DatabaseURL.Reveal(), password) {
		t.Error("secrets were not read as written")
	}
}

func TestEveryWrongValueIsNamed(t *testing.T) {
	t.Parallel()
	for change, want := range map[string]string{
		"RATE_LIMIT=-1":                                 "RATE_LIMIT: -1 is not between 0 and 1000000",
		"RATE_LIMIT=NaN":                                "RATE_LIMIT: NaN is not between 0 and 1000000",
		"RATE_LIMIT=many":                               `RATE_LIMIT: "many" is not a number`,
		"TRUSTED_PROXIES=10.0.0.0/8,proxy":              `TRUSTED_PROXIES: "proxy" is not a network like 10.0.0.0/8`,
		"DATABASE_URL=":                                 "DATABASE_URL: is not set",
		"DATABASE_URL=mysql://db/x":                     "DATABASE_URL: is not a postgres:// URL",
		"DATABASE_URL=postgres:///x":                    "DATABASE_URL: names no host",
		"KAFKA_BROKERS=":                                "KAFKA_BROKERS: is not set",
		"KAFKA_BROKERS=kafka:9092,other":                `KAFKA_BROKERS: "other" is not host:port`,
		"KAFKA_BROKERS=:9092":                           `KAFKA_BROKERS: ":9092" has no host`,
		"KAFKA_TLS=perhaps":                             `KAFKA_TLS: "perhaps" is not true or false`,
		"KAFKA_CA_FILE=/does/not/exist\nKAFKA_TLS=true": "KAFKA_CA_FILE: can't be read",
		"KAFKA_SASL_MECHANISM=GSSAPI\nKAFKA_USERNAME=u\nKAFKA_PASSWORD=p": `KAFKA_SASL_MECHANISM: "GSSAPI" is not PLAIN`,
		"KAFKA_SASL_MECHANISM=PLAIN\nKAFKA_USERNAME=u":                    "KAFKA_PASSWORD: is needed",
		"KAFKA_SASL_MECHANISM=PLAIN\nKAFKA_PASSWORD=p":                    "KAFKA_USERNAME: is needed",
		"KAFKA_PASSWORD=p":                                         "KAFKA_SASL_MECHANISM: is needed",
		"KAFKA_TOPIC_PREFIX=a b":                                   `KAFKA_TOPIC_PREFIX: "a b" is not made of`,
		"KAFKA_PARTITIONS=0":                                       "KAFKA_PARTITIONS: 0 is not between 1 and 1000",
		"KAFKA_PARTITIONS=many":                                    `KAFKA_PARTITIONS: "many" is not a whole number`,
		"KAFKA_REPLICATION=0":                                      "KAFKA_REPLICATION: 0 is not between 1 and 100",
		"KAFKA_CREATE_TOPICS=2":                                    `KAFKA_CREATE_TOPICS: "2" is not true or false`,
		"INSTANCE_ID=a b":                                          `INSTANCE_ID: "a b" is not`,
		"HTTP_ADDR=8080":                                           `HTTP_ADDR: "8080" is not host:port`,
		"HTTP_ADDR=:http":                                          `HTTP_ADDR: ":http" has no port`,
		"PUBLIC_URL=tickets.example.com":                           "PUBLIC_URL: is not a URL that begins with http:// or https://",
		"METRICS_ADDR=:99999":                                      `METRICS_ADDR: ":99999" has no port`,
		"SECRET_KEYS=":                                             "SECRET_KEYS: is not set",
		"SECRET_KEYS=" + secretKey + ",short":                      "SECRET_KEYS: secret keys: key 2 must have 32 characters at least",
		"OPERATOR_KEYS=":                                           "OPERATOR_KEYS: is not set",
		"OPERATOR_KEYS=ana:" + operatorKey:                         "OPERATOR_KEYS: operator keys: entry 1: must be name:role:key",
		"OPERATOR_KEYS=ana:king:" + operatorKey:                    "OPERATOR_KEYS: operator keys: entry 1: its role must be admin",
		"OPERATOR_KEYS=ana:admin:short":                            "OPERATOR_KEYS: operator keys: entry 1: its key must have 16",
		"OPERATOR_KEYS=a a:door:" + operatorKey:                    "OPERATOR_KEYS: operator keys: entry 1: its name must be",
		"CHANNEL_KEYS=web":                                         "CHANNEL_KEYS: channel keys: entry 1: must be name:key",
		"CHANNEL_KEYS=a:" + channelKey + ",b:" + channelKey:        "CHANNEL_KEYS: channel keys: entry 2: its key is there twice",
		"PAYMENT_GATEWAY=stripe":                                   `PAYMENT_GATEWAY: "stripe" is not a gateway`,
		"PAYMENT_WEBHOOK_SECRET=":                                  "PAYMENT_WEBHOOK_SECRET: is not set",
		"PAYMENT_WEBHOOK_SECRET=abc":                               "PAYMENT_WEBHOOK_SECRET: secret 1 is not a webhook secret",
		"PAYMENT_WEBHOOK_SECRET=whsec_!":                           "PAYMENT_WEBHOOK_SECRET: secret 1 is not a webhook secret",
		"PAYMENT_WEBHOOK_SECRET=whsec_AAAA":                        "PAYMENT_WEBHOOK_SECRET: secret 1 is not a webhook secret",
		"PAYMENT_WEBHOOK_SECRET=" + strings.Repeat(webhook+",", 3): "PAYMENT_WEBHOOK_SECRET: has 3 secrets",
		"HOLD_TTL=15":                                              `HOLD_TTL: "15" is not a duration`,
		"HOLD_TTL=999ms":                                           "HOLD_TTL: 999ms is not between 1s and 24h0m0s",
		"DRAIN=5s":                                                 "DRAIN: 5s is not between 0s and 4s",
		"DRAIN=-1s":                                                "DRAIN: -1s is not between 0s and 4s",
		"HOLD_TTL=25h":                                             "HOLD_TTL: 25h0m0s is not between",
		"SMTP_URL=http://mail\nMAIL_FROM=a@b":                      "SMTP_URL: is not a URL that begins with smtp:// or smtps://",
		"SMTP_URL=smtp://mail":                                     "MAIL_FROM: is needed with SMTP_URL",
		"MAIL_FROM=nobody":                                         `MAIL_FROM: "nobody" is not a mail address`,
		"LOG_LEVEL=loud":                                           `LOG_LEVEL: "loud" is not debug`,
		"LOG_FORMAT=xml":                                           `LOG_FORMAT: "xml" is not json`,
		"OTEL_EXPORTER_OTLP_ENDPOINT=otel":                         "OTEL_EXPORTER_OTLP_ENDPOINT: is not a URL",
		"OTEL_TRACES_SAMPLER_ARG=2":                                "OTEL_TRACES_SAMPLER_ARG: 2 is not between 0 and 1",
		"OTEL_TRACES_SAMPLER_ARG=NaN":                              "OTEL_TRACES_SAMPLER_ARG: NaN is not between 0 and 1",
		"SECRET_KEYS_FILE=/some/file":                              "SECRET_KEYS: is set and so is SECRET_KEYS_FILE",
		"CHANNEL_KEYS_FILE=/does/not/exist":                        "CHANNEL_KEYS_FILE: can't be read",
	} {
		t.Run(strings.ReplaceAll(change, "\n", " "), func(t *testing.T) {
			t.Parallel()
			_, err := Load(complete(strings.Split(change, "\n")...))
			problems := Problems(err)
			if len(problems) != 1 || !strings.HasPrefix(problems[0].Error(), want) {
				t.Errorf("the problems are %v, want one that begins with %q", err, want)
			}
		})
	}
}

func TestAllProblemsComeInOneList(t *testing.T) {
	t.Parallel()
	_, err := Load(Source{Environ: []string{"HOLD_TTL=soon", "HTTP_ADDR=8080", "LOG_FORMAT=xml"}, Hostname: "box-1", Roles: AllRoles()})
	var names []string
	for _, p := range Problems(err) {
		names = append(names, p.Name)
		if p.Example == "" {
			t.Errorf("%s comes without an example", p.Name)
		}
	}
	want := "HOLD_TTL DATABASE_URL KAFKA_BROKERS SECRET_KEYS OPERATOR_KEYS PAYMENT_WEBHOOK_SECRET HTTP_ADDR LOG_FORMAT"
	if got := strings.Join(names, " "); got != want {
		t.Errorf("problems of %s, want of %s", got, want)
	}
	if lines := strings.Count(err.Error(), "\n") + 1; lines != len(names) {
		t.Errorf("%d lines for %d problems", lines, len(names))
	}
}

func TestAProcessNeedsOnlyTheSecretsOfItsRoles(t *testing.T) {
	t.Parallel()
	src := complete("SECRET_KEYS=", "OPERATOR_KEYS=", "PAYMENT_WEBHOOK_SECRET=")
	src.Roles = Roles{Relay, Projections}
	if _, err := Load(src); err != nil {
		t.Errorf("relay and projections: %v", err)
	}
	src.Roles = Roles{Payments}
	if _, err := Load(src); len(Problems(err)) != 1 {
		t.Errorf("payments: %v, want the webhook secret alone", err)
	}
}

func TestAFlagOverridesTheDemoOverridesTheEnvironment(t *testing.T) {
	t.Parallel()
	src := complete()
	src.Flags = pflag.NewFlagSet("serve", pflag.ContinueOnError)
	src.Values = map[string]string{"DATABASE_URL": "postgres://demo/x", "KAFKA_BROKERS": "127.0.0.1:1"}
	AddFlags(src.Flags)
	if err := src.Flags.Parse([]string{"--database-url", "postgres://flag/x", "--hold-ttl=3s"}); err != nil {
		t.Fatal(err)
	}
	cfg, err := Load(src)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.TrimSuffix(fmt.Sprintln(cfg.DatabaseURL.Reveal(), cfg.Kafka.Brokers, cfg.HoldTTL), "\n"); got != "postgres://flag/x [127.0.0.1:1] 3s" {
		t.Errorf("read %s", got)
	}
}

func TestAFileHoldsAValue(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keys")
	text := "ana:admin:" + operatorKey + "\n\nbo:door:" + operatorKey + "2\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := Load(complete("OPERATOR_KEYS=", "OPERATOR_KEYS_FILE="+path))
	if err != nil {
		t.Fatal(err)
	}
	if len(cfg.OperatorKeys) != 2 || cfg.OperatorKeys[1].Role != Door || cfg.OperatorKeysFile != path {
		t.Errorf("read %d keys of %q", len(cfg.OperatorKeys), cfg.OperatorKeysFile)
	}
}

func TestSecretsAreNeverPrinted(t *testing.T) {
	t.Parallel()
	cfg, err := Load(complete("CHANNEL_KEYS=web:"+channelKey, "SMTP_URL=smtp://u:smtp-password@mail", "MAIL_FROM=a@b.example",
		"KAFKA_SASL_MECHANISM=PLAIN", "KAFKA_USERNAME=u", "KAFKA_PASSWORD=kafka-password"))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&out, verb+"\n", cfg)
	}
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "cfg", cfg, "key", cfg.SecretKeys[0], "url", cfg.DatabaseURL)
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "cfg", cfg, "key", cfg.SecretKeys[0], "url", cfg.DatabaseURL)
	if err := json.NewEncoder(&out).Encode(cfg); err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{secretKey, operatorKey, channelKey, webhook, password, "smtp-password", "kafka-password"} {
		if strings.Contains(out.String(), secret) || strings.Contains(out.String(), fmt.Sprintf("%x", secret)) {
			t.Errorf("%q was printed", secret)
		}
	}
	if got := cfg.DatabaseURL.String(); got != "postgres://boxoffice:***@db:5432/boxoffice" {
		t.Errorf("the address is printed as %s", got)
	}
	if got := URL("postgres:///x?host=%2Ftmp&password=abc").String(); strings.Contains(got, "abc") {
		t.Errorf("a password in the query is printed: %s", got)
	}
}

func TestProblemsNeverRepeatASecret(t *testing.T) {
	t.Parallel()
	_, err := Load(complete("OPERATOR_KEYS=hidden-key-1", "CHANNEL_KEYS=hidden-key-2", "SECRET_KEYS=hidden-key-3",
		"PAYMENT_WEBHOOK_SECRET=hidden-key-4", "DATABASE_URL=postgres://u:hidden-key-5@%zz"))
	if len(Problems(err)) != 5 || strings.Contains(err.Error(), "hidden") {
		t.Errorf("the problems are %v", err)
	}
}

func TestRoles(t *testing.T) {
	t.Parallel()
	roles, err := ParseRoles("relay, api")
	if err != nil || roles.String() != "relay,api" || !roles.Has(API) || roles.Has(Payments) {
		t.Errorf("read %v, %v", roles, err)
	}
	for _, wrong := range []string{"", "cook", "api,api"} {
		if _, err := ParseRoles(wrong); len(Problems(err)) != 1 {
			t.Errorf("--roles=%s gives %v", wrong, err)
		}
	}
}

func TestToolsNeedOnlyWhatTheyUse(t *testing.T) {
	t.Parallel()
	src := Source{Environ: []string{"MIGRATE_DATABASE_URL=postgres://owner@db/x"}}
	if _, err := LoadTools(src, NeedSchema); err != nil {
		t.Error(err)
	}
	if _, err := LoadTools(src, NeedSchema, NeedKafka); len(Problems(err)) != 1 {
		t.Errorf("got %v, want that the brokers are missing", err)
	}
	if _, err := LoadTools(src, NeedDatabase); len(Problems(err)) != 1 {
		t.Errorf("got %v, want that the owner's address is for migrate only", err)
	}
}

func TestADemoIsFoundByItsDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := ReadDemo(dir); !errors.Is(err, ErrNoDemo) {
		t.Errorf("an empty directory gives %v", err)
	}
	demo := Demo{URL: "http://127.0.0.1:8080", DatabaseURL: "postgres://127.0.0.1:5433/x", KafkaBrokers: []string{"127.0.0.1:1", "127.0.0.1:2"}, PID: 7}
	if err := demo.Write(dir); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(dir, demoFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("its file is %v, %v", info.Mode(), err)
	}
	read, err := ReadDemo(dir)
	if err != nil {
		t.Fatal(err)
	}
	tools, err := LoadTools(Source{Values: read.Values()}, NeedDatabase, NeedKafka)
	if err != nil || tools.DatabaseURL.Reveal() != demo.DatabaseURL || len(tools.Kafka.Brokers) != 2 {
		t.Errorf("found %v, %v", tools, err)
	}
	t.Run("and nothing of the environment's servers is mixed in", func(t *testing.T) {
		src := Source{Values: read.Values(), Environ: []string{
			"MIGRATE_DATABASE_URL=postgres://x@db/x", "KAFKA_TLS=true", "KAFKA_CA_FILE=/nowhere", "KAFKA_SASL_MECHANISM=PLAIN", "KAFKA_USERNAME=x",
			"KAFKA_PASSWORD_FILE=/nowhere", "KAFKA_TOPIC_PREFIX=other.", "KAFKA_PARTITIONS=3",
		}}
		mixed, err := LoadTools(src, NeedDatabase, NeedKafka)
		if err != nil || !reflect.DeepEqual(mixed, tools) {
			t.Errorf("found %+v, %v", mixed, err)
		}
		src.Flags = pflag.NewFlagSet("x", pflag.ContinueOnError)
		AddFlags(src.Flags)
		if err := src.Flags.Parse([]string{"--kafka-topic-prefix", "mine."}); err != nil {
			t.Fatal(err)
		}
		if mixed, err = LoadTools(src, NeedDatabase, NeedKafka); err != nil || mixed.Kafka.TopicPrefix != "mine." {
			t.Errorf("a flag beside it gives %+v, %v", mixed, err)
		}
	})
	if err := errors.Join(RemoveDemo(dir), RemoveDemo(dir)); err != nil {
		t.Errorf("removing it twice: %v", err)
	}
}

func TestEveryVariableIsExplained(t *testing.T) {
	t.Parallel()
	fields := map[string]bool{}
	for _, v := range Variables() {
		if v.About == "" || v.Example == "" {
			t.Errorf("%s has no explanation or no example", v.Name)
		}
		if fields[v.field] {
			t.Errorf("two variables fill a field named %s; problems are told by that name", v.field)
		}
		fields[v.field] = true
	}
	if cfg, err := Load(complete("HOLD_TTL=24h")); err != nil || cfg.HoldTTL != 24*time.Hour {
		t.Errorf("the longest hold: %v, %v", cfg.HoldTTL, err)
	}
}

func TestTheLimitByAddressHasADefault(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		change  []string
		limit   float64
		proxies string
	}{
		{nil, 50, "[]"},
		{[]string{"RATE_LIMIT=0"}, 0, "[]"},
		{[]string{"RATE_LIMIT=0.5", "TRUSTED_PROXIES=10.1.2.3/8, 192.0.2.1,fd00::/8"}, 0.5, "[10.0.0.0/8 192.0.2.1/32 fd00::/8]"},
	} {
		cfg, err := Load(complete(c.change...))
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(cfg.TrustedProxies); cfg.RateLimit != c.limit || got != c.proxies {
			t.Errorf("%v: limit %v, proxies %s", c.change, cfg.RateLimit, got)
		}
	}
}
