package config

import (
	"reflect"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// Variable is one variable of the environment, and the flag of the same name.
type Variable struct {
	Name    string // DATABASE_URL
	Flag    string // database-url
	Default string
	About   string
	Example string // a value, perhaps as a shell would write it
	field   string // the struct's field, by which the parser names it
}

func (v Variable) example() string { return v.Name + "=" + v.Example }

// Variables are all variables there are, those of the service before those of the tools, in the order in which
// help tells them.
func Variables() []Variable {
	all := variablesOf(reflect.TypeFor[Config](), "")
	for _, v := range variablesOf(reflect.TypeFor[Tools](), "") {
		if !slices.ContainsFunc(all, func(known Variable) bool { return known.Name == v.Name }) {
			all = append(all, v)
		}
	}
	return all
}

// AddFlags adds a flag for each of the named variables, or for all of them. They stay out of the help
// text unless they are named, because there are many.
func AddFlags(flags *pflag.FlagSet, names ...string) {
	named := map[string]bool{}
	for _, name := range names {
		named[name] = true
	}
	for _, v := range Variables() {
		if flags.Lookup(v.Flag) != nil || (len(names) > 0 && !named[v.Name]) {
			continue
		}
		// The default is not the flag's: a flag that was not set must not hide the environment.
		flags.String(v.Flag, "", v.About)
		flags.Lookup(v.Flag).Hidden = len(names) == 0
	}
}

func flagName(name string) string { return strings.ToLower(strings.ReplaceAll(name, "_", "-")) }

func variablesOf(t reflect.Type, prefix string) []Variable {
	var out []Variable
	for field := range t.Fields() {
		if nested, ok := field.Tag.Lookup("envPrefix"); ok {
			out = append(out, variablesOf(field.Type, prefix+nested)...)
			continue
		}
		name := field.Tag.Get("env")
		if name == "" {
			continue
		}
		out = append(out, Variable{
			Name: prefix + name, Flag: flagName(prefix + name), Default: field.Tag.Get("envDefault"),
			About: field.Tag.Get("about"), Example: field.Tag.Get("example"), field: field.Name,
		})
	}
	return out
}
