package config

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// composition is what compose.yaml says, as far as it is judged here.
type composition struct {
	Services map[string]composed
	Secrets  map[string]struct{ File string }
	Configs  map[string]struct{ Content string }
}

type composed struct {
	Image       string
	Command     []string
	Environment map[string]string
	Secrets     []string
	Ports       []string
	ReadOnly    bool     `yaml:"read_only"`
	CapDrop     []string `yaml:"cap_drop"`
	Healthcheck struct {
		Test    []string
		Disable bool
	}
	DependsOn map[string]struct{ Condition string } `yaml:"depends_on"`
	Deploy    struct {
		Resources struct {
			Limits struct{ CPUs, Memory string }
		}
	}
}

func composeFile(t *testing.T) composition {
	t.Helper()
	text, err := os.ReadFile("../../../compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var c composition
	// A key beside a merge stands over the merged one, which this parser takes for a duplicate.
	if err := yaml.UnmarshalWithOptions(text, &c, yaml.AllowDuplicateMapKey()); err != nil {
		t.Fatal(yaml.FormatError(err, false, true))
	}
	return c
}

// ours reports whether a service runs the program.
func (c composed) ours() bool { return strings.HasPrefix(c.Image, "boxoffice") }

// roles are what a process is told by --roles.
func (c composed) roles(t *testing.T) Roles {
	t.Helper()
	i := slices.Index(c.Command, "--roles")
	if i < 0 {
		return nil
	}
	roles, err := ParseRoles(c.Command[i+1])
	if err != nil {
		t.Fatal(err)
	}
	return roles
}

// The Docker daemon can't be had wherever the tests run, so the file is judged by what the program knows.
func TestComposeConfiguresEveryProcessCompletely(t *testing.T) {
	t.Parallel()
	file, processes, instances := composeFile(t), map[Role]int{}, map[string]string{}
	for name, s := range file.Services {
		if !s.ours() {
			continue
		}
		src := Source{Hostname: "host", Roles: s.roles(t)}
		for variable, value := range s.Environment {
			base := strings.TrimSuffix(variable, "_FILE")
			if !isVariable(base) && variable != "GOMEMLIMIT" {
				t.Errorf("%s: there is no variable %s", name, variable)
			}
			if secret, ok := strings.CutPrefix(value, "/run/secrets/"); ok {
				if !slices.Contains(s.Secrets, secret) || file.Secrets[secret].File == "" {
					t.Errorf("%s is not given the secret %s", name, secret)
				}
				value = filepath.Join(t.TempDir(), secret)
				if err := os.WriteFile(value, []byte(sampleOf(t, base)), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			src.Environ = append(src.Environ, variable+"="+value)
		}
		for _, secret := range s.Secrets {
			if !slices.Contains(slices.Collect(maps.Values(s.Environment)), "/run/secrets/"+secret) {
				t.Errorf("%s is given the secret %s and does not use it", name, secret)
			}
		}
		if src.Roles == nil {
			if tools, err := LoadTools(src, NeedDatabase); err != nil || s.Command[0] != "migrate" || tools.MigrateDatabaseURL == "" || tools.DatabaseURL == "" {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		cfg, err := Load(src)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if other, taken := instances[cfg.InstanceID]; taken || cfg.InstanceID == "host" {
			t.Errorf("%s and %s are both called %s", name, other, cfg.InstanceID)
		}
		instances[cfg.InstanceID] = name
		for _, role := range src.Roles {
			processes[role]++
		}
		published := slices.ContainsFunc(s.Ports, func(p string) bool { return strings.HasSuffix(p, cfg.HTTPAddr) })
		if cfg.Roles.Has(API) != published || cfg.MetricsAddr != ":9090" {
			t.Errorf("%s publishes %v of %s, metrics on %s", name, s.Ports, cfg.HTTPAddr, cfg.MetricsAddr)
		}
	}
	if want := map[Role]int{API: 2, Relay: 1, Projections: 1, Payments: 1, Notifications: 1}; !maps.Equal(processes, want) {
		t.Errorf("processes by role are %v, want %v", processes, want)
	}
}

func TestComposeIsAsTightAsItCanBe(t *testing.T) {
	t.Parallel()
	file := composeFile(t)
	pinned := regexp.MustCompile(`^[a-z/]+:\d+(\.\d+)+$`)
	for name, s := range file.Services {
		if s.ours() {
			if !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) {
				t.Errorf("%s may write its root or has capabilities", name)
			}
		} else if !pinned.MatchString(s.Image) {
			t.Errorf("%s is not pinned by version: %s", name, s.Image)
		}
		if s.Deploy.Resources.Limits.CPUs == "" || s.Deploy.Resources.Limits.Memory == "" {
			t.Errorf("%s has no limits", name)
		}
		if (len(s.Healthcheck.Test) == 0) != s.Healthcheck.Disable || s.Healthcheck.Disable != (name == "migrate") {
			t.Errorf("%s: its health is not checked", name)
		}
		for on, how := range s.DependsOn {
			if _, there := file.Services[on]; !there || how.Condition == "" {
				t.Errorf("%s depends on %s %s", name, on, how.Condition)
			}
		}
		for variable, value := range s.Environment {
			if regexp.MustCompile(`PASSWORD|KEY|SECRET|DATABASE_URL`).MatchString(variable) && !strings.HasSuffix(variable, "_FILE") {
				t.Errorf("%s has a secret in its environment: %s=%s", name, variable, value)
			}
		}
	}
	for name, secret := range file.Secrets {
		if !strings.HasPrefix(secret.File, ".secrets/") {
			t.Errorf("the secret %s lies in %s", name, secret.File)
		}
	}
	text, err := os.ReadFile("../../../compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for name, secret := range file.Secrets {
		// The head of the file says how each is made.
		if made := "> " + filepath.Base(secret.File); !strings.Contains(string(text), made) {
			t.Errorf("nothing says how the secret %s is made", name)
		}
	}
	for _, ignores := range []string{"../../../.gitignore", "../../../.dockerignore"} {
		if ignored, err := os.ReadFile(ignores); err != nil || !strings.Contains(string(ignored), "/.secrets/\n") {
			t.Errorf("%s lets secrets through: %v", ignores, err)
		}
	}
}

// kubernetes is the README's sample, as far as it is judged here.
type kubernetes struct {
	Spec struct {
		Template struct {
			Spec struct {
				TerminationGracePeriodSeconds int `yaml:"terminationGracePeriodSeconds"`
				Containers                    []struct {
					Args  []string
					Env   []struct{ Name string }
					Ports []struct {
						Name          string
						ContainerPort int `yaml:"containerPort"`
					}
					LivenessProbe  probe `yaml:"livenessProbe"`
					ReadinessProbe probe `yaml:"readinessProbe"`
				}
			}
		}
	}
}

type probe struct {
	HTTPGet struct{ Path, Port string } `yaml:"httpGet"`
}

func TestTheKubernetesSampleOfTheReadmeFitsTheProgram(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, sample, _ := strings.Cut(string(text), "```yaml\n")
	sample, _, _ = strings.Cut(sample, "```")
	var k kubernetes
	if err := yaml.Unmarshal([]byte(sample), &k); err != nil {
		t.Fatal(yaml.FormatError(err, false, true))
	}
	pod := k.Spec.Template.Spec
	if len(pod.Containers) != 1 || pod.TerminationGracePeriodSeconds < 15 {
		t.Fatalf("read %+v", k)
	}
	c := pod.Containers[0]
	if (composed{Command: c.Args}).roles(t).String() != "api" || len(c.Ports) != 2 || c.Ports[0].ContainerPort != 8080 || c.Ports[1].ContainerPort != 9090 {
		t.Errorf("it runs %v on %v", c.Args, c.Ports)
	}
	for _, e := range c.Env {
		if !isVariable(strings.TrimSuffix(e.Name, "_FILE")) {
			t.Errorf("there is no variable %s", e.Name)
		}
	}
	// The address of the metrics answers for every role, that of HTTP knows of the drain.
	if c.LivenessProbe.HTTPGet != (struct{ Path, Port string }{"/livez", "metrics"}) || c.ReadinessProbe.HTTPGet != (struct{ Path, Port string }{"/readyz", "http"}) {
		t.Errorf("it is asked at %+v and %+v", c.LivenessProbe, c.ReadinessProbe)
	}
}

func isVariable(name string) bool {
	return slices.ContainsFunc(Variables(), func(v Variable) bool { return v.Name == name })
}

// sampleOf is a value that a variable takes.
func sampleOf(t *testing.T, name string) string {
	t.Helper()
	samples := map[string]string{
		"DATABASE_URL": "postgres://service@postgres/boxoffice", "MIGRATE_DATABASE_URL": "postgres://owner@postgres/boxoffice",
		"SECRET_KEYS": secretKey, "OPERATOR_KEYS": "ana:admin:" + operatorKey, "PAYMENT_WEBHOOK_SECRET": webhook,
	}
	if samples[name] == "" {
		t.Errorf("no sample of %s", name)
	}
	return samples[name]
}
