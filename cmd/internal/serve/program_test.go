package serve_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// program is the service as it is deployed: the built binary, in processes of its own.
type program struct {
	o       *office
	path    string
	environ []string // NAME=value, of every process
}

// built builds the program, configured for the office' servers.
func (o *office) built() *program {
	o.t.Helper()
	path := filepath.Join(o.t.TempDir(), "boxoffice")
	build := exec.CommandContext(o.t.Context(), "go", "build", "-o", path, "boxoffice/cmd/boxoffice")
	if out, err := build.CombinedOutput(); err != nil {
		o.t.Fatalf("build: %v\n%s", err, out)
	}
	return &program{o, path, []string{
		"DATABASE_URL=" + o.url, "KAFKA_BROKERS=" + strings.Join(o.kafka.Brokers, ","), "KAFKA_TOPIC_PREFIX=" + o.kafka.TopicPrefix,
		"KAFKA_PARTITIONS=4", "KAFKA_REPLICATION=1", "HTTP_ADDR=127.0.0.1:0", "METRICS_ADDR=127.0.0.1:0", "DRAIN=0s", "RATE_LIMIT=0", "LOG_FORMAT=json",
		"HOLD_TTL=" + o.holdTTL.String(), "SECRET_KEYS=" + secretKey, "OPERATOR_KEYS=ana:admin:" + operatorKey, "PAYMENT_WEBHOOK_SECRET=" + webhookSecret,
	}}
}

const secretKey = "0123456789abcdef0123456789abcdef"

// spawned is one process of the program, and a client of its HTTP once it is serving.
type spawned struct {
	client
	name  string
	cmd   *exec.Cmd
	said  *transcript
	ended chan struct{}
	err   error // of its end; read after ended
}

// run runs the program with a command line; more variables go over those of every process.
func (p *program) run(name string, more []string, args ...string) *spawned {
	t := p.o.t
	t.Helper()
	s := &spawned{client: client{o: p.o}, name: name, cmd: exec.Command(p.path, args...), said: &transcript{}, ended: make(chan struct{})} // it ends by signals
	s.cmd.Env = append(append([]string{"INSTANCE_ID=" + name}, p.environ...), more...)
	s.cmd.Dir = t.TempDir()
	s.cmd.Stdout, s.cmd.Stderr = s.said, s.said
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(s.ended)
		s.err = s.cmd.Wait()
	}()
	t.Cleanup(func() {
		s.kill()
		if t.Failed() {
			t.Logf("%s said:\n%s", name, s.said.tail())
		}
	})
	return s
}

// serve is run for a process of the service.
func (p *program) serve(name, roles string, more ...string) *spawned {
	p.o.t.Helper()
	return p.run(name, more, "serve", "--roles", roles)
}

// listening waits until the process serves HTTP, and finds out where.
func (s *spawned) listening() *spawned {
	s.o.t.Helper()
	within(s.o.t, startPatience, s.name+" serves HTTP", func() string {
		if s.url = s.said.value("serving", "address"); s.url == "" {
			return "it said: " + s.said.tail()
		}
		s.url = "http://" + s.url
		return ""
	})
	return s
}

// startPatience is for a process to start on a busy machine.
const startPatience = 60 * time.Second

// says waits until the process has logged a text.
func (s *spawned) says(text string) {
	s.o.t.Helper()
	within(s.o.t, startPatience, s.name+" says "+text, func() string {
		if strings.Contains(s.said.String(), text) {
			return ""
		}
		return "it said: " + s.said.tail()
	})
}

// ends waits until the process has ended by itself, and returns its exit code.
func (s *spawned) ends() int {
	s.o.t.Helper()
	select {
	case <-s.ended:
	case <-time.After(startPatience):
		s.o.t.Fatalf("%s has not ended:\n%s", s.name, s.said.tail())
	}
	return s.cmd.ProcessState.ExitCode()
}

// terminate asks the process to end, as whoever deploys it does, and returns how long that took.
func (s *spawned) terminate() time.Duration {
	s.o.t.Helper()
	begun := time.Now()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		s.o.t.Fatal(err)
	}
	select {
	case <-s.ended:
	case <-time.After(stopLimit):
		s.o.t.Fatalf("%s had not ended %s after SIGTERM:\n%s", s.name, stopLimit, s.said.tail())
	}
	if s.err != nil {
		s.o.t.Errorf("%s ended with %v:\n%s", s.name, s.err, s.said.tail())
	}
	return time.Since(begun)
}

// kill ends the process without giving it a chance; a second call does nothing.
func (s *spawned) kill() {
	_ = s.cmd.Process.Kill() // it may have ended
	<-s.ended
}

// transcript keeps what a process says.
type transcript struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *transcript) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *transcript) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

func (s *transcript) tail() string {
	const most = 4000
	text := s.String()
	return text[max(0, len(text)-most):]
}

// value is an attribute of the first log line with a message.
func (s *transcript) value(message, attribute string) string {
	for line := range strings.Lines(s.String()) {
		var fields map[string]any
		if json.Unmarshal([]byte(line), &fields) == nil && fields["msg"] == message {
			value, _ := fields[attribute].(string)
			return value
		}
	}
	return ""
}

// inFile writes a value to a file of its own, as a secret is mounted, and returns NAME_FILE=path.
func inFile(t *testing.T, name, value string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), strings.ToLower(name))
	if err := os.WriteFile(path, []byte(value+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return name + "_FILE=" + path
}
