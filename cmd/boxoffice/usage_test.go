package main

import (
	"os/exec"
	"strings"
	"testing"

	"boxoffice/cmd/internal/config"
)

func TestWrongUsageIsToldInWords(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ args, want string }{
		{"help nope", `there is no command`},
		{"help events nope", `there is no command`},
		{"events --from x", `--from: "x" is not a position of the log or a time like`},
		{"events --follow=perhaps", `--follow: "perhaps" is not true or false`},
		{"events --form 3", `there is no flag --form`},
		{"dlq lsit --data x", `there is no command "lsit"`},
		{"ready --url foo", `--url: "foo" is not a URL`},
		{"ready --url ftp://box.example", `--url: `},
		{"completion", "arg"},
		{"completion tcsh", `"tcsh"`},
		{"forget", "arg"},
	} {
		t.Run(c.args, func(t *testing.T) {
			t.Parallel()
			r := runs(t, nil, strings.Fields(c.args)...).must(t, exitUsage)
			if !strings.Contains(r.stderr, c.want) || strings.Contains(r.stderr, "strconv") || r.stdout != "" {
				t.Errorf("it says %s%s", r.stdout, r.stderr)
			}
		})
	}
}

func TestAWrongRoleIsToldOnce(t *testing.T) {
	t.Parallel()
	for _, roles := range []string{"cook", "", "api,api"} {
		r := runs(t, nil, "serve", "--roles", roles).must(t, exitUsage)
		if strings.Count(r.stderr, "  --roles: ") != 1 {
			t.Errorf("%q: it says %s", roles, r.stderr)
		}
	}
}

func TestLagMarksWhatIsNotKnownWithoutKafka(t *testing.T) {
	t.Parallel()
	environ, _, _ := soldShow(t)
	r := runs(t, environ, "lag", "--kafka-brokers", closedAddress(t)).must(t, exitUnreachable)
	lines := map[string]string{}
	for line := range strings.Lines(r.stdout) {
		if words := strings.Fields(line); len(words) > 1 {
			lines[words[0]] = strings.Join(words[1:], " ")
		}
	}
	want := map[string]string{"projection": "all unknown unknown unknown", "consumer": "all unknown unknown unknown", "dead": "letters unknown"}
	for kind, rest := range want {
		if lines[kind] != rest {
			t.Errorf("of %s it says %q:\n%s", kind, lines[kind], r.stdout)
		}
	}
	if !strings.HasPrefix(lines["relay"], "relay ") {
		t.Errorf("what Postgres knows is not there:\n%s", r.stdout)
	}
}

func TestEveryCommandTellsAboutItself(t *testing.T) {
	t.Parallel()
	root := (&cli{}).root()
	for _, command := range root.Commands() {
		if command.Name() == "environment" || command.Name() == "help" {
			continue
		}
		asked := runs(t, nil, command.Name(), "--help").must(t, exitOK)
		helped := runs(t, nil, "help", command.Name()).must(t, exitOK)
		if asked.stdout != helped.stdout || !strings.Contains(asked.stdout, "Examples:") || asked.stderr != "" {
			t.Errorf("%s: --help and help tell\n%s\n%s", command.Name(), asked.stdout, helped.stdout)
		}
		for line := range strings.Lines(asked.stdout) {
			if width := len([]rune(strings.TrimRight(line, "\n"))); width > 120 && !strings.Contains(line, "--") {
				t.Errorf("%s: a line has %d characters: %s", command.Name(), width, line)
			}
		}
	}
}

func TestCompletionKnowsTheCommands(t *testing.T) {
	t.Parallel()
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if r := runs(t, nil, "completion", shell).must(t, exitOK); !strings.Contains(r.stdout, "boxoffice") || r.stderr != "" {
			t.Errorf("%s: %s", shell, r.stderr)
		}
	}
	script := runs(t, nil, "completion", "bash").stdout
	bash := exec.CommandContext(t.Context(), "bash", "-n")
	bash.Stdin = strings.NewReader(script)
	if out, err := bash.CombinedOutput(); err != nil {
		t.Errorf("bash can't read it: %v %s", err, out)
	}
	r := runs(t, nil, "__complete", "l") // what the scripts ask
	if !strings.Contains(r.stdout, "lag\t") {
		t.Errorf("l is completed to %s", r.stdout)
	}
}

func TestADemoThatWasKilledIsToldAsSuch(t *testing.T) {
	t.Parallel()
	gone := exec.CommandContext(t.Context(), "true")
	if err := gone.Run(); err != nil {
		t.Fatal(err)
	}
	dir, closed := t.TempDir(), closedAddress(t)
	stale := config.Demo{DatabaseURL: "postgres://u@" + closed + "/x", KafkaBrokers: []string{closed}, PID: gone.Process.Pid}
	if err := stale.Write(dir); err != nil {
		t.Fatal(err)
	}
	r := runs(t, nil, "lag", "--data", dir).must(t, exitUnreachable)
	if !strings.Contains(r.stderr, "is not running") || !strings.Contains(r.stderr, "go run ./cmd/demo --data "+dir) {
		t.Errorf("it says %s", r.stderr)
	}
}
