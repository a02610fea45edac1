package config

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/caarlos0/env/v11"
	"github.com/spf13/pflag"
)

// maxValueFile is the size in bytes above which a NAME_FILE is refused.
const maxValueFile = 1 << 20

// Source is what a configuration is read from. Where several give a variable, the flag wins over
// Values, and Values over the environment, also where it is empty there.
type Source struct {
	Environ  []string          // NAME=value, as os.Environ gives it
	Values   map[string]string // by variable; what demo.json says
	Flags    *pflag.FlagSet    // only those that were set count; may be nil
	Hostname string            // INSTANCE_ID where none is given
	Roles    Roles             // what the process runs; they decide which variables are needed
}

// Load reads and checks the configuration of the service. The error joins one Problem for each
// variable that is wrong, all of them.
func Load(src Source) (Config, error) {
	cfg := Config{Roles: src.Roles, MigrateAtStart: true}
	values, problems := src.gather(Variables())
	cfg.OperatorKeysFile = src.fileOf("OPERATOR_KEYS")
	parsed, err := parse(&cfg, values)
	if err != nil {
		return Config{}, err
	}
	problems = append(problems, parsed...)
	if cfg.InstanceID == "" {
		cfg.InstanceID = src.Hostname
	}
	// A variable is reported once: what can't be read is not also called missing.
	problems = append(problems, without(cfg.check(), problems)...)
	if cfg.PublicURL == "" {
		cfg.PublicURL = localURL(cfg.HTTPAddr)
	}
	return cfg, join(problems)
}

// MetricsURL is how this machine reaches the METRICS_ADDR that a source gives; no other variable is looked at.
// Errors are Problems.
func MetricsURL(src Source) (string, error) {
	const name = "METRICS_ADDR"
	variables := slices.DeleteFunc(Variables(), func(v Variable) bool { return v.Name != name })
	values, problems := src.gather(variables)
	address := cmp.Or(values[name], variables[0].Default)
	if err := checkAddress(address, false); err != nil {
		problems = append(problems, Problem{name, err.Error(), exampleOf(name)})
	}
	return localURL(address), join(problems)
}

// Tools is what the operator commands need to find the servers.
type Tools struct {
	DatabaseURL        URL   `env:"DATABASE_URL" about:"Postgres with the log and the read models" example:"postgres://boxoffice:PASSWORD@db:5432/boxoffice"`
	MigrateDatabaseURL URL   `env:"MIGRATE_DATABASE_URL" about:"the same Postgres, as a role that may change the schema" example:"postgres://owner:PASSWORD@db:5432/boxoffice"`
	Kafka              Kafka `envPrefix:"KAFKA_"`
}

// Need is a part of Tools that a command can't do without.
type Need int

// The parts.
const (
	NeedDatabase Need = iota
	NeedKafka
	NeedSchema // the database, by either of its addresses
)

// LoadTools reads what an operator command needs, and judges nothing else. The error joins Problems as Load's does.
func LoadTools(src Source, needs ...Need) (Tools, error) {
	var tools Tools
	values, problems := src.gather(variablesOf(reflect.TypeFor[Tools](), ""))
	parsed, err := parse(&tools, values)
	if err != nil {
		return Tools{}, err
	}
	problems = append(problems, parsed...)
	var found []Problem
	for _, need := range needs {
		switch need {
		case NeedDatabase:
			found = append(found, checkDatabase("DATABASE_URL", tools.DatabaseURL)...)
		case NeedSchema:
			if tools.MigrateDatabaseURL != "" {
				found = append(found, checkDatabase("MIGRATE_DATABASE_URL", tools.MigrateDatabaseURL)...)
			}
			if tools.DatabaseURL != "" || tools.MigrateDatabaseURL == "" {
				found = append(found, checkDatabase("DATABASE_URL", tools.DatabaseURL)...)
			}
		case NeedKafka:
			found = append(found, tools.Kafka.check()...)
		}
	}
	problems = append(problems, without(found, problems)...)
	return tools, join(problems)
}

// gather looks every variable up: flag, Values, NAME_FILE, NAME. An empty value counts as none.
func (src Source) gather(variables []Variable) (map[string]string, []Problem) {
	environ := env.ToMap(src.Environ)
	values := map[string]string{}
	var problems []Problem
	for _, v := range variables {
		value, fromFile := environ[v.Name], src.fileOf(v.Name)
		given, is := src.Values[v.Name]
		switch {
		case src.flag(v.Name) != "":
			value = src.flag(v.Name)
		case is:
			value = given
		case fromFile != "" && value != "":
			problems = append(problems, Problem{v.Name, "is set and so is " + v.Name + "_FILE; keep one of them", ""})
		case fromFile != "":
			text, err := readValue(fromFile)
			if err != nil {
				problems = append(problems, Problem{v.Name + "_FILE", err.Error(), v.Name + "_FILE=/run/secrets/" + flagName(v.Name)})
			}
			value = text
		}
		if value != "" {
			values[v.Name] = value
		}
	}
	return values, problems
}

func (src Source) flag(name string) string {
	if src.Flags == nil || !src.Flags.Changed(flagName(name)) {
		return ""
	}
	return src.Flags.Lookup(flagName(name)).Value.String()
}

// fileOf is the value of NAME_FILE, unless the variable is overridden.
func (src Source) fileOf(name string) string {
	if _, is := src.Values[name]; is || src.flag(name) != "" {
		return ""
	}
	return env.ToMap(src.Environ)[name+"_FILE"]
}

func readValue(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("can't be read: %w", err)
	}
	if info.Size() > maxValueFile {
		return "", fmt.Errorf("is larger than %d bytes", maxValueFile)
	}
	text, err := os.ReadFile(path) //nolint:gosec // the operator names the file
	if err != nil {
		return "", fmt.Errorf("can't be read: %w", err)
	}
	return strings.TrimRight(string(text), "\r\n"), nil
}

// parse fills the struct; what can't be read becomes problems, in the order of the struct.
func parse[T any](into *T, values map[string]string) ([]Problem, error) {
	err := env.ParseWithOptions(into, env.Options{Environment: values})
	if err == nil {
		return nil, nil
	}
	var all env.AggregateError
	if !errors.As(err, &all) {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	byField := map[string]Variable{}
	for _, v := range variablesOf(reflect.TypeFor[T](), "") {
		byField[v.field] = v
	}
	var problems []Problem
	for _, one := range all.Errors {
		var wrong env.ParseError
		if !errors.As(one, &wrong) {
			return nil, fmt.Errorf("read the configuration: %w", one)
		}
		v := byField[wrong.Name]
		problems = append(problems, Problem{v.Name, saidOf(wrong, values[v.Name]), v.example()})
	}
	return problems, nil
}

// saidOf says in words what was wrong with a value. Only values that can't be secret are repeated.
func saidOf(wrong env.ParseError, value string) string {
	switch wrong.Type.String() {
	case "bool":
		return fmt.Sprintf("%q is not true or false", value)
	case "int16", "int32":
		return fmt.Sprintf("%q is not a whole number in range", value)
	case "float64":
		return fmt.Sprintf("%q is not a number", value)
	case "time.Duration":
		return fmt.Sprintf("%q is not a duration with a unit", value)
	case "slog.Level":
		return fmt.Sprintf("%q is not debug, info, warn or error", value)
	}
	return wrong.Err.Error()
}
