package messaging

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"strconv"
	"strings"

	"github.com/IBM/sarama"
)

// maxIterations bounds what a server may make us compute.
const maxIterations = 1_000_000

func (s SASL) validate() error {
	switch s.Mechanism {
	case "":
		if s.Username != "" || s.Password != "" {
			return errors.New("a Kafka user or password without a SASL mechanism")
		}
		return nil
	case sarama.SASLTypePlaintext, sarama.SASLTypeSCRAMSHA256, sarama.SASLTypeSCRAMSHA512:
	default:
		return fmt.Errorf("SASL mechanism %q: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512", s.Mechanism)
	}
	if s.Username == "" || s.Password == "" {
		return errors.New("SASL needs a user and a password")
	}
	// SCRAM wants other characters normalised (SASLprep); refusing them beats a puzzling failure to sign in.
	for _, r := range s.Username + s.Password {
		if r < ' ' || r > '~' {
			return errors.New("SASL user and password must be printable ASCII")
		}
	}
	return nil
}

func (s SASL) apply(cfg *sarama.Config) {
	if s.Mechanism == "" {
		return
	}
	cfg.Net.SASL.Enable = true
	cfg.Net.SASL.Mechanism = sarama.SASLMechanism(s.Mechanism)
	cfg.Net.SASL.User, cfg.Net.SASL.Password = s.Username, s.Password
	switch s.Mechanism {
	case sarama.SASLTypeSCRAMSHA256:
		cfg.Net.SASL.SCRAMClientGeneratorFunc = func() sarama.SCRAMClient { return &scram{hash: sha256.New, nonce: rand.Text()} }
	case sarama.SASLTypeSCRAMSHA512:
		cfg.Net.SASL.SCRAMClientGeneratorFunc = func() sarama.SCRAMClient { return &scram{hash: sha512.New, nonce: rand.Text()} }
	}
}

// scram is the client's side of one SCRAM exchange (RFC 5802, RFC 7677), without channel binding.
type scram struct {
	hash  func() hash.Hash
	nonce string

	password  string
	first     string // client-first-message-bare
	signature []byte // what the server has to prove
	step      int
}

// Begin prepares the exchange.
func (s *scram) Begin(user, password, _ string) error {
	escaped := strings.NewReplacer("=", "=3D", ",", "=2C").Replace(user)
	s.password, s.first, s.step = password, "n="+escaped+",r="+s.nonce, 0
	return nil
}

// Step answers a message of the server; the first call has none.
func (s *scram) Step(challenge string) (string, error) {
	s.step++
	switch s.step {
	case 1:
		return "n,," + s.first, nil
	case 2:
		return s.prove(challenge)
	case 3:
		return "", s.verify(challenge)
	default:
		return "", errors.New("scram: the exchange is over")
	}
}

// Done reports whether the server has proved itself.
func (s *scram) Done() bool { return s.step >= 3 }

func (s *scram) prove(challenge string) (string, error) {
	fields := scramFields(challenge)
	nonce := fields["r"]
	salt, err := base64.StdEncoding.DecodeString(fields["s"])
	iterations, atoiErr := strconv.Atoi(fields["i"])
	if err != nil || atoiErr != nil || len(salt) == 0 || iterations < 1 || iterations > maxIterations {
		return "", errors.New("scram: the server's challenge can't be read")
	}
	if len(nonce) <= len(s.nonce) || !strings.HasPrefix(nonce, s.nonce) {
		return "", errors.New("scram: the server answers another exchange")
	}
	salted, err := pbkdf2.Key(s.hash, s.password, salt, iterations, s.hash().Size())
	if err != nil {
		return "", fmt.Errorf("scram: %w", err)
	}
	final := "c=biws,r=" + nonce
	auth := s.first + "," + challenge + "," + final
	clientKey := s.mac(salted, "Client Key")
	stored := s.hash()
	stored.Write(clientKey)
	proof := s.mac(stored.Sum(nil), auth)
	for i := range proof {
		proof[i] ^= clientKey[i]
	}
	s.signature = s.mac(s.mac(salted, "Server Key"), auth)
	return final + ",p=" + base64.StdEncoding.EncodeToString(proof), nil
}

func (s *scram) verify(challenge string) error {
	fields := scramFields(challenge)
	if reason := fields["e"]; reason != "" {
		return fmt.Errorf("scram: refused: %s", reason)
	}
	proof, err := base64.StdEncoding.DecodeString(fields["v"])
	if err != nil || !hmac.Equal(proof, s.signature) {
		return errors.New("scram: the server does not know the password")
	}
	return nil
}

func (s *scram) mac(key []byte, text string) []byte {
	m := hmac.New(s.hash, key)
	m.Write([]byte(text))
	return m.Sum(nil)
}

func scramFields(text string) map[string]string {
	fields := map[string]string{}
	for part := range strings.SplitSeq(text, ",") {
		name, value, _ := strings.Cut(part, "=")
		fields[name] = value
	}
	return fields
}
