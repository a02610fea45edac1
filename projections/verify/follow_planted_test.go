package verify

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"boxoffice/domain"
	"boxoffice/eventstore"
)

func TestWhatIsPlantedAfterItBeganAnAuditorFindsOnce(t *testing.T) {
	t.Parallel()
	for _, c := range plantings() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			sound, commits := story(), c.plant(story())
			first := 0
			for first < len(commits) && first < len(sound) && reflect.DeepEqual(commits[first], sound[first]) {
				first++
			}
			log := write(t, commits)
			want := judged(t, log).Findings
			for start := range first + 1 {
				for _, cfg := range []AuditConfig{{}, {streams: -1}} {
					log := write(t, commits[:start])
					a := auditing(log, cfg)
					looks(t, a)
					for _, commit := range commits[start:] {
						log.append(t, commit)
						if cfg.streams != 0 {
							looks(t, a)
						}
					}
					looks(t, a)
					looks(t, a)
					if cfg.streams == 0 {
						expects(t, a, want)
					} else if !slices.ContainsFunc(violated(a), func(v string) bool { return strings.HasPrefix(v, c.want[0]) }) {
						t.Errorf("beginning after %d appends it found %q, want %q", start, violated(a), c.want)
					}
					if s := a.Status(); s.LastAt.IsZero() || s.Last.Kind == "" || s.Last.Detail == "" {
						t.Errorf("the status is %+v", s)
					}
				}
			}
		})
	}
}

func TestAnAuditorJudgesTheLogsForm(t *testing.T) {
	t.Parallel()
	last := func(l *memoryLog) *eventstore.Recorded { return &l.events[len(l.events)-1] }
	for _, c := range []struct {
		name   string
		tamper func(l *memoryLog)
		want   []string
	}{
		{"an event is not what was hashed", func(l *memoryLog) { last(l).Metadata = []byte(`{}`) }, []string{"hash order-" + orderA + ":7 43"}},
		{"the chain goes on from elsewhere", func(l *memoryLog) {
			last(l).Hash = make([]byte, 32)
			l.end.Hash = last(l).Hash
		}, []string{"hash order-" + orderA + ":7 43"}},
		{"a version is left out", func(l *memoryLog) { l.events[40].Version = 99 }, []string{"version order-" + orderA + ":99 41"}},
		{"a position is left out", func(l *memoryLog) { l.events = slices.Delete(l.events, 40, 41) }, []string{"position events 42"}},
		{"time runs backwards", func(l *memoryLog) {
			for i := 39; i < 43; i++ {
				l.events[i].RecordedAt = begin()
			}
			l.end.Time = begin()
		}, []string{"time"}},
		{"an append has no hash", func(l *memoryLog) { last(l).Hash = nil }, []string{"hash events 43"}},
		{"log_head has another hash", func(l *memoryLog) { l.end.Hash = make([]byte, 32) }, []string{"head log_head 43"}},
		{"log_head has another time", func(l *memoryLog) { l.end.Time = begin() }, []string{"head log_head 43"}},
		{"log_head is ahead", func(l *memoryLog) { l.end.Position++ }, []string{"head log_head 44"}},
		{"an event stands behind log_head", func(l *memoryLog) {
			l.end.Position--
			l.end.Hash = l.events[l.end.Position-1].Hash
		}, []string{"head log_head 43"}},
		{"an event can't be read", func(l *memoryLog) { last(l).Data = []byte(`[]`) }, []string{"event"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			commits := story()
			log := write(t, commits[:commitOperator])
			a := auditing(log, AuditConfig{})
			looks(t, a)
			log.append(t, commits[commitOperator])
			c.tamper(log)
			for range 5 {
				looks(t, a)
			}
			got := violated(a)
			for _, want := range c.want {
				if !slices.ContainsFunc(got, func(g string) bool { return strings.HasPrefix(g, want) }) {
					t.Errorf("found %q, want %q among them", got, want)
				}
			}
			if len(got) > 4 {
				t.Errorf("one violation was counted %d times: %q", len(got), got)
			}
		})
	}
}

func TestAnAuditorGoesOnAfterALogThatWasReplaced(t *testing.T) {
	t.Parallel()
	commits := story()
	other := story()
	edit(other[commitPlaced], 0, func(e *domain.OrderPlaced) { e.CustomerRef = "d" })
	for _, c := range []struct {
		name string
		log  *memoryLog
	}{
		{"by one that is shorter", write(t, commits[:commitPaid])},
		{"by one that is as long", write(t, other[:commitExpired])},
		{"by one that is longer", write(t, other[:commitLate])},
		{"by none", write(t, nil)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			log := write(t, commits[:commitExpired])
			a := auditing(log, AuditConfig{})
			looks(t, a)
			at := log.end.Position
			*log = *c.log
			for range 3 {
				looks(t, a)
			}
			replaced := Finding{Kind: KindHead, Key: "log_head", Position: at}
			expects(t, a, []Finding{replaced})
			switch n := log.end.Position; n {
			case 0:
				log.append(t, commits[commitShow])
			case 9, 10:
				log.append(t, confirmedOrder(orderB))
			default:
				log.append(t, confirmedOrder(orderD))
			}
			looks(t, a)
			expects(t, a, []Finding{replaced})
			if s := a.Status(); s.Position != log.end.Position {
				t.Errorf("it is at %d of %d", s.Position, log.end.Position)
			}
		})
	}
}

func TestWhatIsWrongAlreadyIsNotCounted(t *testing.T) {
	t.Parallel()
	commits := story()
	commits[commitLateRefund] = commits[commitLateRefund][:1] // money that bought nothing
	log := write(t, commits[:commitLateRefund+1])
	a := auditing(log, AuditConfig{})
	looks(t, a)
	log.append(t, []entry{onOrder(orderC, domain.OrderPaymentChanged{
		OrderStep: step(orderC, domain.Canceled, domain.Canceled), Payment: shownPayment(orderC, domain.Settled),
	})})
	looks(t, a)
	expects(t, a, nil)
	log.append(t, requestedRefund(orderC, "REFUND-C-1", 50, domain.Canceled))
	log.append(t, []entry{settledPayment(orderC, domain.Settled, 50)})
	looks(t, a)
	expects(t, a, []Finding{{Kind: KindMoney, Key: "order-" + orderC, Position: log.end.Position}})
}
