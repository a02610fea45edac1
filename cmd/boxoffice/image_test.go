package main

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"boxoffice/internal/devstack"
)

// dockerfile is the Dockerfile, a line an instruction.
func dockerfile(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("../../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.ReplaceAll(string(text), "\\\n", ""), "\n")
}

// argument is what stands behind an instruction, at its last place.
func argument(t *testing.T, lines []string, instruction string) string {
	t.Helper()
	found := ""
	for _, line := range lines {
		if rest, ok := strings.CutPrefix(line, instruction+" "); ok {
			found = rest
		}
	}
	if found == "" {
		t.Fatalf("the Dockerfile has no %s", instruction)
	}
	return found
}

// No Docker daemon runs where the tests do, so what the image is made of is built and run by hand.
func TestTheImageBuildsAProgramThatNeedsNothing(t *testing.T) {
	t.Parallel()
	lines := dockerfile(t)
	root := t.TempDir()
	if err := os.Chmod(root, 0o755); err != nil { // the program runs as another user
		t.Fatal(err)
	}
	program := filepath.Join(root, "boxoffice")
	command := strings.ReplaceAll(argument(t, lines, "RUN"), "/out/boxoffice", program)
	build := exec.CommandContext(t.Context(), "sh", "-c", command)
	build.Dir, build.Env = "../..", append(os.Environ(), "GOOS=linux")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
	file, err := elf.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	libraries, err := file.ImportedLibraries()
	if err != nil || len(libraries) > 0 {
		t.Errorf("it needs %v, %v", libraries, err)
	}
	for _, segment := range file.Progs {
		if segment.Type == elf.PT_INTERP {
			t.Error("it needs an interpreter")
		}
	}
	if runtime.GOOS != "linux" {
		return // it does not run here
	}
	pg := devstack.Postgres(t).Empty(t)
	for _, args := range [][]string{{"version"}, {"migrate"}} {
		run := exec.CommandContext(t.Context(), program, args...)
		run.Env = []string{"DATABASE_URL=" + pg.URL}
		asInTheImage(run, root)
		if out, err := run.CombinedOutput(); err != nil {
			t.Errorf("%s with nothing around it: %v\n%s", args, err, out)
		}
	}
}

func TestTheImageIsAsTightAsItCanBe(t *testing.T) {
	t.Parallel()
	lines := dockerfile(t)
	module, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	release := regexp.MustCompile(`(?m)^go (\S+)$`).FindStringSubmatch(string(module))[1]
	if !strings.Contains(strings.Join(lines, "\n"), "FROM golang:"+release+"-") {
		t.Errorf("it is not built with Go %s, as go.mod says", release)
	}
	for instruction, want := range map[string]string{
		"FROM": "scratch", "USER": "65532:65532", "EXPOSE": "8080 9090", "ENTRYPOINT": `["/boxoffice"]`, "CMD": `["serve"]`,
	} {
		if got := argument(t, lines, instruction); got != want {
			t.Errorf("%s is %s, want %s", instruction, got, want)
		}
	}
	if health := argument(t, lines, "HEALTHCHECK"); !strings.HasSuffix(health, `CMD ["/boxoffice", "ready"]`) {
		t.Errorf("its health is checked by %s", health)
	}
}
