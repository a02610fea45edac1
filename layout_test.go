package boxoffice_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "boxoffice"

// mayUse says which packages of ours a package may have in its dependency tree, besides those below
// itself. The longest path that fits a package is its rule; cmd is wiring and may use all.
var mayUse = map[string][]string{
	"domain":              {},
	"eventstore":          {"internal/failpoint"},
	"commands":            {"domain", "eventstore", "internal/httpapi", "internal/views", "internal/gather", "internal/failpoint"},
	"projections":         {"domain", "eventstore", "internal/httpapi", "internal/views", "internal/failpoint"},
	"projections/verify":  {"domain", "eventstore"}, // it must not repeat the projections' mistakes
	"projections/logtest": {"domain", "eventstore", "internal/payments/qris"},
	"internal/messaging":  {"eventstore", "internal/gather", "internal/failpoint"},
	"internal/payments":   {"domain", "eventstore", "internal/httpapi", "internal/gather", "internal/failpoint"},
	"internal/notifications": {
		"domain", "eventstore", "internal/httpapi", "internal/views", "internal/gather", "internal/failpoint",
	},
	"internal/httpapi":   {"domain"},
	"internal/views":     {"domain"},
	"internal/web":       {"domain", "internal/httpapi", "internal/views"},
	"internal/gather":    {},
	"internal/failpoint": {},
	"internal/tracing":   {},
	"internal/devstack":  {""},
	"cmd":                {"", "domain", "eventstore", "commands", "projections", "internal"},
}

// onlyIn says which packages alone may have a foreign module in their dependency tree, and why.
var onlyIn = []struct {
	module string
	users  []string
	why    string
}{
	{"github.com/IBM/sarama", []string{"internal/messaging", "cmd"}, "Kafka is a transport"},
	{"github.com/ThreeDotsLabs/watermill-kafka", []string{"internal/messaging", "cmd"}, "Kafka is a transport"},
	{"github.com/twmb/franz-go", []string{"internal/devstack", "cmd/demo"}, "the embedded broker is for the demo and tests"},
	{"github.com/pb33f", []string{"internal/httpapi/openapitest"}, "it judges answers in tests, the service sends them"},
	{"go.opentelemetry.io/otel/sdk", []string{"internal/tracing", "cmd"}, "traces are made in one place"},
	{"go.opentelemetry.io/otel/exporters", []string{"internal/tracing", "cmd"}, "traces are sent from one place"},
	{"github.com/fergusstrange/embedded-postgres", []string{"internal/devstack", "cmd/demo"}, "nothing else fetches programs"},
}

// directly says what a package may import of foreign modules, where the design names them.
var directly = map[string][]string{
	"domain":     {},
	"eventstore": {"github.com/jmoiron/sqlx", "github.com/lib/pq", "github.com/ThreeDotsLabs/watermill/message"},
}

// topLevel is all there may be beside the files that Git ignores.
var topLevel = []string{
	"domain", "eventstore", "commands", "projections", "cmd", "internal",
	"schema.sql", "schema.go", "layout_test.go", "go.mod", "go.sum",
	"README.md", "ARCHITECTURE.md", "CHANGELOG.md", "LICENSE", "Makefile",
	"CONTRIBUTING.md", "RELIABILITY.md", "Dockerfile", ".dockerignore", "compose.yaml",
	".ci", ".github", ".gitignore", ".gitattributes", ".golangci.yml", ".git",
}

// readsEnvironment are the packages below cmd that do so nevertheless: no cmd stands above a test.
var readsEnvironment = []string{"internal/devstack", "internal/failpoint"}

// listed is what go list tells about a package.
type listed struct {
	ImportPath    string
	Imports, Deps []string
}

// name is the package's path within the module.
func (l listed) name() string { return ours(l.ImportPath) }

func TestLayout(t *testing.T) {
	t.Parallel()
	packages := list(t)
	t.Run("packages use only those they may", func(t *testing.T) {
		t.Parallel()
		for _, p := range packages {
			rule, ok := ruleOf(p.name())
			if p.name() != "" && !ok {
				t.Errorf("%s: say in mayUse what it may use", p.name())
				continue
			}
			for _, dep := range p.Deps {
				if isOurs(dep) && !below(ours(dep), rule) && !slices.ContainsFunc(mayUse[rule], func(may string) bool {
					return ours(dep) == may || may != "" && below(ours(dep), may)
				}) {
					t.Errorf("%s must not use %s", p.name(), ours(dep))
				}
			}
		}
	})
	t.Run("foreign modules stay where they belong", func(t *testing.T) {
		t.Parallel()
		for _, p := range packages {
			for _, rule := range onlyIn {
				if !slices.ContainsFunc(rule.users, func(user string) bool { return below(p.name(), user) }) && slices.ContainsFunc(p.Deps, within(rule.module)) {
					t.Errorf("%s must not use %s: %s", p.name(), rule.module, rule.why)
				}
			}
			if allowed, ok := directly[p.name()]; ok {
				for _, i := range p.Imports {
					if !isStandard(i) && !isOurs(i) && !slices.Contains(allowed, i) {
						t.Errorf("%s must not import %s", p.name(), i)
					}
				}
			}
		}
	})
	t.Run("the domain needs nothing but the standard library", func(t *testing.T) {
		t.Parallel()
		for _, p := range packages {
			for _, dep := range p.Deps {
				if below(p.name(), "domain") && !isStandard(dep) && !below(ours(dep), "domain") {
					t.Errorf("%s uses %s", p.name(), dep)
				}
			}
		}
	})
	t.Run("the service carries nothing made for tests or the demo", func(t *testing.T) {
		t.Parallel()
		for _, p := range packages {
			if p.name() != "cmd/boxoffice" {
				continue
			}
			for _, dep := range p.Deps {
				if dep == "testing" || below(ours(dep), "internal/devstack") || isOurs(dep) && strings.HasSuffix(dep, "test") {
					t.Errorf("cmd/boxoffice links %s", dep)
				}
			}
		}
	})
}

func TestTheEnvironmentIsReadInCmdAlone(t *testing.T) {
	t.Parallel()
	err := filepath.WalkDir(".", func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && file != "." && (entry.Name() == "testdata" || strings.HasPrefix(entry.Name(), ".")) {
			return filepath.SkipDir
		}
		folder := path.Dir(filepath.ToSlash(file))
		exempt := below(folder, "cmd") || slices.ContainsFunc(readsEnvironment, func(p string) bool { return below(folder, p) })
		if entry.IsDir() || exempt || filepath.Ext(file) != ".go" || strings.HasSuffix(file, "_test.go") {
			return nil
		}
		for _, found := range environmentReads(t, file) {
			t.Errorf("%s reads the environment; take the value from cmd", found)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestTheTopLevelIsFixed(t *testing.T) {
	t.Parallel()
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	ignored, err := os.ReadFile(".gitignore")
	if err != nil {
		t.Fatal(err)
	}
	patterns := strings.Fields(string(ignored))
	for _, e := range entries {
		isIgnored := slices.ContainsFunc(patterns, func(pattern string) bool {
			match, err := path.Match(strings.Trim(pattern, "/"), e.Name())
			return err == nil && match
		})
		if !isIgnored && !slices.Contains(topLevel, e.Name()) {
			t.Errorf("%s does not belong at the top level", e.Name())
		}
	}
}

// environmentReads are the places in a file that read the environment, by whatever name they call os.
func environmentReads(t *testing.T, file string) []string {
	t.Helper()
	set := token.NewFileSet()
	parsed, err := parser.ParseFile(set, file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	names := map[string]bool{}
	for _, spec := range parsed.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case strings.HasPrefix(imported, "github.com/caarlos0/env"), imported == "flag":
			found = append(found, set.Position(spec.Pos()).String())
		case imported == "os" || imported == "syscall":
			name := imported
			if spec.Name != nil {
				name = spec.Name.Name
			}
			names[name] = true
		}
	}
	reads := []string{"Getenv", "LookupEnv", "Environ", "ExpandEnv", "Args"}
	ast.Inspect(parsed, func(n ast.Node) bool {
		selector, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if x, ok := selector.X.(*ast.Ident); ok && names[x.Name] && slices.Contains(reads, selector.Sel.Name) {
			found = append(found, set.Position(selector.Pos()).String())
		}
		return true
	})
	return found
}

// list asks go list for all our packages. One that does not compile is listed by what it imports.
func list(t *testing.T) []listed {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-e", "-json=ImportPath,Imports,Deps", "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var packages []listed
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}

// ruleOf is the longest path in mayUse that a package lies in.
func ruleOf(name string) (string, bool) {
	for name != "." && name != "" {
		if _, ok := mayUse[name]; ok {
			return name, true
		}
		name = path.Dir(name)
	}
	return "", false
}

// below reports whether a package is a folder or lies in it.
func below(name, folder string) bool { return name == folder || strings.HasPrefix(name, folder+"/") }

func within(module string) func(string) bool {
	return func(dep string) bool { return below(dep, module) }
}

func isOurs(importPath string) bool { return below(importPath, module) }

// ours is a package's path within the module, for foreign ones their whole path.
func ours(importPath string) string {
	return strings.TrimPrefix(strings.TrimPrefix(importPath, module), "/")
}

// isStandard: paths of the standard library have no dot in their first part.
func isStandard(importPath string) bool {
	first, _, _ := strings.Cut(importPath, "/")
	return !isOurs(importPath) && !strings.Contains(first, ".")
}
