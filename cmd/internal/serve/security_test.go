package serve_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"boxoffice/domain"
	"boxoffice/internal/devstack"
	"boxoffice/internal/messaging"
	"boxoffice/internal/payments"
	"boxoffice/internal/views"
)

const (
	topicPrefix  = "staging.box_"
	kafkaAdmin   = "admin-secret-of-the-tests"
	kafkaService = "service, secret = of the tests"
)

// managedKafka is a broker as a provider runs it: TLS by an authority of its own, SASL, and a user that may
// use what begins with the prefix and create nothing. It returns what the admin connects with.
func managedKafka(t *testing.T) (kafka *devstack.TestKafka, admin messaging.Config, caFile string) {
	t.Helper()
	ca, certificate := authority(t)
	caFile = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(caFile, ca, 0o600); err != nil {
		t.Fatal(err)
	}
	may := func(resource kmsg.ACLResourceType, operations ...kmsg.ACLOperation) (acls []kfake.ACL) {
		for _, operation := range operations {
			acls = append(acls, kfake.ACL{
				Resource: resource, Name: topicPrefix, Pattern: kmsg.ACLResourcePatternTypePrefixed, Operation: operation, Allow: true,
			})
		}
		return acls
	}
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.EnableSASL(), kfake.EnableACLs(),
		kfake.TLS(&tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}),
		kfake.Superuser("PLAIN", "admin", kafkaAdmin),
		kfake.User("SCRAM-SHA-512", "service", kafkaService, append(
			may(kmsg.ACLResourceTypeTopic, kmsg.ACLOperationRead, kmsg.ACLOperationWrite),
			may(kmsg.ACLResourceTypeGroup, kmsg.ACLOperationRead)...)...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	admin = messaging.Config{
		Brokers: cluster.ListenAddrs(), TopicPrefix: topicPrefix, Partitions: 3, CreateTopics: true, TLS: true, CA: ca,
		SASL: messaging.SASL{Mechanism: "PLAIN", Username: "admin", Password: kafkaAdmin},
	}
	return &devstack.TestKafka{Brokers: cluster.ListenAddrs(), Prefix: topicPrefix}, admin, caFile
}

// authority makes an authority, in PEM form, and a certificate for 127.0.0.1 that it signed.
func authority(t *testing.T) (ca []byte, leaf tls.Certificate) {
	t.Helper()
	key := func() *ecdsa.PrivateKey {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	server := &x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: root.NotBefore, NotAfter: root.NotAfter, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	rootKey, serverKey := key(), key()
	signed := func(c *x509.Certificate, of *ecdsa.PrivateKey) []byte {
		der, err := x509.CreateCertificate(rand.Reader, c, root, &of.PublicKey, rootKey)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	ca = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed(root, rootKey)})
	return ca, tls.Certificate{Certificate: [][]byte{signed(server, serverKey)}, PrivateKey: serverKey}
}

func TestAWholeOrderOnManagedServers(t *testing.T) {
	t.Parallel()
	kafka, admin, caFile := managedKafka(t)
	o := openOn(t, devstack.Postgres(t).URL, kafka, longHold)
	o.kafka = admin
	p := o.built()
	// Every value comes from a file.
	values := slices.Concat(p.environ, []string{
		"KAFKA_TLS=true", "KAFKA_SASL_MECHANISM=SCRAM-SHA-512", "KAFKA_USERNAME=service", "KAFKA_PASSWORD=" + kafkaService,
		"KAFKA_CREATE_TOPICS=false", "PUBLIC_URL=https://tickets.example.com", "INSTANCE_ID=box-0", "LOG_LEVEL=debug",
	})
	p.environ = []string{"KAFKA_CA_FILE=" + caFile}
	for _, line := range values {
		name, value, _ := strings.Cut(line, "=")
		p.environ = append(p.environ, inFile(t, name, value))
	}
	s := p.run("box", []string{"INSTANCE_ID="}, "serve").listening()
	s.createShow(1, 100)
	id := s.mustPlace(wish{customer: "ana", method: "CARD"}) // before there is any topic
	s.says("topics are missing on the brokers and may not be created: " + topicPrefix + strings.Join(messaging.Topics(), ", "+topicPrefix))
	if err := messaging.EnsureTopics(t.Context(), admin, messaging.Topics()...); err != nil {
		t.Fatal(err)
	}
	within(t, startPatience, "the order is confirmed", func() string { return s.isAt(id, domain.Confirmed) })
	var order views.Order
	if s.get("/orders/"+id, &order); !strings.HasPrefix(order.Payment.URL, "https://tickets.example.com/") {
		t.Errorf("it is to be paid at %s", order.Payment.URL)
	}
	s.mustWebhook(id, "SUCCESS")
	s.await(id, domain.Completed)
	o.audit()
	for _, args := range [][]string{{"verify", "--kafka"}, {"lag"}, {"dlq", "list"}} {
		if tool := p.run(args[0], []string{"INSTANCE_ID="}, args...); tool.ends() != 0 {
			t.Errorf("%s: %s", args, tool.said)
		}
	}
	doctor := p.run("doctor", []string{"INSTANCE_ID="}, "doctor")
	// The Postgres of the tests does without fsync; nothing else is wrong, and the user need not be told the topics' settings.
	if code, found := doctor.ends(), doctor.said.String(); code != 1 || strings.Count(found, "fail ") != 1 || !strings.Contains(found, "fail fsync") || strings.Contains(found, kafkaService) {
		t.Errorf("doctor: exit %d: %s", code, found)
	}
	said := s.said.String()
	if strings.Contains(said, kafkaService) || strings.Contains(said, secretKey) || !strings.Contains(said, `"level":"DEBUG","msg":"request"`) {
		t.Errorf("it says %s", s.said.tail())
	}
	s.terminate()
}

func TestKeysAreRotatedWithoutAPause(t *testing.T) {
	t.Parallel()
	const next, nextWebhook = "another-secret-key-of-32-characters", "whsec_bmV4dC1zZWNyZXQtb2YtdGhlLXRlc3RzLTAxMjM0NTY="
	o := open(t, longHold)
	p := o.built()
	keys := inFile(t, "OPERATOR_KEYS", "ana:admin:"+operatorKey)
	path := strings.TrimPrefix(keys, "OPERATOR_KEYS_FILE=")
	one := p.serve("one", "api", "SECRET_KEYS="+secretKey+","+next, "OPERATOR_KEYS=", keys).listening()
	two := p.serve("two", "api,relay,projections,payments", "SECRET_KEYS="+next+","+secretKey, "PAYMENT_WEBHOOK_SECRET="+nextWebhook+","+webhookSecret).listening()
	one.createShow(1, 100)

	t.Run("tokens of either key are good at both doors", func(t *testing.T) {
		for i, doors := range [][2]*spawned{{one, two}, {two, one}} {
			w := wish{customer: fmt.Sprint("buyer-", i), key: fmt.Sprint("a-request-of-its-own-", i)}
			first, again := doors[0].place(w), doors[1].place(w)
			if first.status != http.StatusOK || again.orderID != first.orderID || !again.again {
				t.Fatalf("the same request at both doors: %s, %s", first.answer, again.answer)
			}
			tokens := []string{first.header.Get("Order-Token"), again.header.Get("Order-Token")}
			if tokens[0] == tokens[1] || tokens[0] == "" || tokens[1] == "" {
				t.Errorf("the tokens are %q", tokens)
			}
			for _, door := range doors {
				for _, token := range tokens {
					eventually(t, "the order is told to who has its token", func() string {
						return tells(door.send("GET", "/orders/"+first.orderID, nil, "Order-Token", token))
					})
				}
			}
		}
	})
	t.Run("a key that is gone opens nothing", func(t *testing.T) {
		old, young := one.place(wish{customer: "old"}), two.place(wish{customer: "young"})
		three := p.serve("three", "api", "SECRET_KEYS="+next).listening()
		eventually(t, "the new token is good", func() string {
			return tells(three.send("GET", "/orders/"+young.orderID, nil, "Order-Token", young.header.Get("Order-Token")))
		})
		eventually(t, "the order is there", func() string {
			return tells(one.send("GET", "/orders/"+old.orderID, nil, "Order-Token", old.header.Get("Order-Token")))
		})
		if a := three.send("GET", "/orders/"+old.orderID, nil, "Order-Token", old.header.Get("Order-Token")); tells(a) == "" {
			t.Errorf("the old token still opens: %s", a)
		}
	})
	t.Run("webhooks of either secret are taken", func(t *testing.T) {
		for _, c := range []struct {
			secret string
			want   int
		}{{webhookSecret, http.StatusOK}, {nextWebhook, http.StatusOK}, {"whsec_c29tZWJvZHktZWxzZS1zLXNlY3JldC0wMTIzNDU2Nzg=", http.StatusUnauthorized}} {
			id := two.mustPlace(wish{customer: "paid with " + c.secret})
			if a := two.webhookBy(c.secret, id); a.status != c.want {
				t.Errorf("signed with %s: %s, want %d", c.secret, a, c.want)
			}
		}
	})
	t.Run("the file of operators' keys is read again", func(t *testing.T) {
		const fresh = "fresh-key-of-the-operator"
		asks := func(key string) int {
			return one.send("GET", "/open-items", nil, "Authorization", "Bearer "+key).status
		}
		if before := asks(operatorKey); before != http.StatusOK || asks(fresh) != http.StatusUnauthorized {
			t.Errorf("before: %d, %d", before, asks(fresh))
		}
		if err := os.WriteFile(path, []byte("ana:admin:"+fresh), 0o600); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the new key is taken and the old is not", func() string {
			if old, now := asks(operatorKey), asks(fresh); old != http.StatusUnauthorized || now != http.StatusOK {
				return fmt.Sprint(old, now)
			}
			return ""
		})
	})
	o.awaitRest()
	o.audit()
}

// tells says what an answer is instead of the order as its buyer sees it.
func tells(a answer) string {
	var order views.Order
	if a.status != http.StatusOK || json.Unmarshal(a.body, &order) != nil || order.ShowID == 0 {
		return a.String()
	}
	return ""
}

// webhookBy delivers that an order was paid, signed with a secret.
func (c client) webhookBy(secret, paymentID string) answer {
	body := fmt.Appendf(nil, `{"header":{"requestId":"1","requestDS":"2025-02-03T12:00:00Z","uName":"GATEWAY"},
		"payload":{"paymentId":%q,"status":"SUCCESS"}}`, paymentID)
	parsed, err := payments.ParseSecret(secret)
	if err != nil {
		return answer{err: err}
	}
	signed := http.Header{}
	parsed.Sign(signed, "delivery-"+paymentID, time.Now(), body)
	return c.send("POST", "/webhooks/payment", body,
		payments.HeaderID, signed.Get(payments.HeaderID), payments.HeaderTimestamp, signed.Get(payments.HeaderTimestamp),
		payments.HeaderSignature, signed.Get(payments.HeaderSignature))
}
