package verify

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"boxoffice/domain"
)

func judged(t *testing.T, log *memoryLog) Report {
	t.Helper()
	report, err := run(t.Context(), log, nil, Config{})
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func TestASoundLogHasNoFindings(t *testing.T) {
	t.Parallel()
	r := judged(t, write(t, story()))
	for _, f := range r.Findings {
		t.Errorf("found %+v", f)
	}
	got := fmt.Sprint(r.Events, r.Shows, r.Orders, r.Payments, r.Held, r.Sold, r.Money, r.Head.Position)
	if want := "43 1 4 4 1 2 [{IDR 600 150 450 99}] 43"; got != want {
		t.Errorf("the report counts %s, want %s", got, want)
	}
}

func TestAnEmptyLogHasNoFindings(t *testing.T) {
	t.Parallel()
	if r := judged(t, write(t, nil)); !r.Ok() || r.Findings == nil || r.Money == nil {
		t.Errorf("the report is %+v", r)
	}
}

// edit changes the n-th event of a commit that has type T.
func edit[T domain.Event](commit []entry, n int, change func(e *T)) {
	for i := range commit {
		e, ok := commit[i].event.(T)
		if !ok {
			continue
		}
		if n--; n < 0 {
			change(&e)
			commit[i].event = e
			return
		}
	}
}

// drop takes all events of type T out of a commit.
func drop[T domain.Event](commit []entry) []entry {
	return slices.DeleteFunc(commit, func(e entry) bool {
		_, ok := e.event.(T)
		return ok
	})
}

// planting plants something into the story, and says what is to be found of it.
type planting struct {
	name  string
	plant func(s appends) appends
	want  []string // kind key
}

func plantings() []planting {
	return []planting{
		{"more is held than there is, for one event only", func(s appends) appends {
			b := lines(2, 4)
			s[commitConfirmed] = slices.Concat([]entry{onShow(domain.TicketsHeld{Movement: moved(4, 0, 6, 0, part("ORDER-20261122-0000000e", 1, b))})},
				placed("ORDER-20261122-0000000e", b),
				[]entry{
					onShow(domain.HoldsReleased{Movement: moved(4, 0, 2, 0, part("ORDER-20261122-0000000e", 1, b))}),
					canceledOrder("ORDER-20261122-0000000e", domain.Pending, domain.ReasonCustomer, domain.Expired),
					expiredPayment("ORDER-20261122-0000000e", domain.Requested),
				}, s[commitConfirmed])
			return s
		}, []string{"capacity show-1:3"}},
		{"totals hide what the members take", func(s appends) appends {
			edit(s[commitPaid], 0, func(e *domain.TicketsSold) { e.Totals[0].Sold-- })
			return s
		}, []string{"totals show-1:3", "totals show-1:4"}},
		{"a hold is released twice", func(s appends) appends {
			release := onShow(domain.HoldsReleased{Movement: moved(1, 3, -1, 1, part(orderC, 1, lines(2, 1)))})
			s[commitCustomer] = slices.Insert(s[commitCustomer], 1, release)
			s[commitOperator] = s[commitOperator][:0]
			return s[:commitOperator]
		}, []string{"hold show-1:8", "capacity show-1:8"}},
		{"a hold expires after its tickets were sold", func(s appends) appends {
			return append(s[:commitPaid+1], []entry{onShow(domain.HoldsExpired{Movement: moved(0, 2, 2, 0, part(orderA, 1, lines(1, 2)))})})
		}, []string{"hold show-1:4", "order order-" + orderA, "money order-" + orderA}},
		{"an order gets a second live hold", func(s appends) appends {
			return append(s[:commitPlaced+1], []entry{onShow(domain.HoldReacquired{Movement: moved(5, 0, 2, 0, part(orderD, 2, lines(1, 1)))})})
		}, []string{"hold show-1:3"}},
		{"an order has no hold", func(s appends) appends {
			edit(s[commitPlaced], 0, func(e *domain.TicketsHeld) { *e = domain.TicketsHeld{Movement: moved(3, 0, 2, 0, e.Members[:3]...)} })
			return s[:commitPlaced+1]
		}, []string{"order order-" + orderD}},
		{"a hold has no order", func(s appends) appends {
			s[commitPlaced] = slices.DeleteFunc(s[commitPlaced], func(e entry) bool { return strings.HasSuffix(e.stream, orderD) || e.stream == "payment-"+payID(orderD) })
			return s[:commitPlaced+1]
		}, []string{"order order-" + orderD}},
		{"an order's lines are not its hold's", func(s appends) appends {
			edit(s[commitPlaced], 3, func(e *domain.OrderPlaced) { e.Lines[0].Quantity, e.Total = 2, idr(200) })
			edit(s[commitPlaced], 3, func(e *domain.PaymentRequested) { e.Amount = idr(200) })
			return s[:commitPlaced+1]
		}, []string{"hold order-" + orderD + ":1"}},
		{"an order pays another price than the show's", func(s appends) appends {
			edit(s[commitPlaced], 3, func(e *domain.OrderPlaced) { e.Lines[0].UnitPrice, e.Total = 1, idr(1) })
			return s[:commitPlaced+1]
		}, []string{"money order-" + orderD + ":1"}},
		{"an order's total is not the sum of its lines", func(s appends) appends {
			edit(s[commitPlaced], 3, func(e *domain.OrderPlaced) { e.Total = idr(1) })
			return s[:commitPlaced+1]
		}, []string{"money order-" + orderD + ":1"}},
		{"money came and bought nothing", func(s appends) appends {
			s[commitLateRefund] = s[commitLateRefund][:1]
			return s[:commitLateRefund+1]
		}, []string{"money order-" + orderC}},
		{"a second payment is kept", func(s appends) appends {
			s[commitPaidTwice] = s[commitPaidTwice][:1]
			return s[:commitPaidTwice+1]
		}, []string{"money order-" + orderA}},
		{"tickets are given away", func(s appends) appends {
			s[commitPaid] = drop[domain.PaymentSettled](s[commitPaid])
			return s[:commitPaid+1]
		}, []string{"money order-" + orderA}},
		{"tickets are returned and the money kept", func(s appends) appends {
			s[commitOperator] = s[commitOperator][:2]
			return s
		}, []string{"money order-" + orderA}},
		{"another amount is settled than was asked for", func(s appends) appends {
			edit(s[commitPaid], 0, func(e *domain.PaymentSettled) { e.Amount = idr(199) })
			return s[:commitPaid+1]
		}, []string{"money payment-" + payID(orderA) + ":3", "money order-" + orderA}},
		{"another currency is settled", func(s appends) appends {
			edit(s[commitPaid], 0, func(e *domain.PaymentSettled) { e.Amount.Currency = "USD" })
			return s[:commitPaid+1]
		}, []string{"money payment-" + payID(orderA) + ":3"}},
		{"a refund ends twice", func(s appends) appends {
			s[commitRefunded] = slices.Concat(s[commitRefunded][:1], s[commitRefunded])
			return s
		}, []string{"refund payment-" + payID(orderA) + ":7"}},
		{"a refund was never asked for", func(s appends) appends {
			edit(s[commitRefunded], 0, func(e *domain.RefundCompleted) { e.RefundID = "REFUND-A-9" })
			return s
		}, []string{"refund payment-" + payID(orderA) + ":6", "refund order-" + orderA}},
		{"more is refunded than came", func(s appends) appends {
			return append(s[:commitRefunded+1], requestedRefund(orderA, "REFUND-A-9", 400, domain.Completed))
		}, []string{"refund payment-" + payID(orderA) + ":7", "money order-" + orderA}},
		{"a ticket too few is issued", func(s appends) appends {
			edit(s[commitPaid], 0, func(e *domain.OrderCompleted) { e.Tickets = e.Tickets[:1] })
			return s
		}, []string{"tickets order-" + orderA + ":3"}},
		{"two tickets have one id", func(s appends) appends {
			edit(s[commitPaid], 0, func(e *domain.OrderCompleted) { e.Tickets[1].TicketID = e.Tickets[0].TicketID })
			return s
		}, []string{"tickets order-" + orderA + ":3"}},
		{"a ticket is of another type", func(s appends) appends {
			edit(s[commitPaid], 0, func(e *domain.OrderCompleted) { e.Tickets[1].TicketTypeID = 2 })
			return s
		}, []string{"tickets order-" + orderA + ":3"}},
		{"a status is skipped", func(s appends) appends {
			edit(s[commitConfirmed], 0, func(e *domain.OrderConfirmed) { e.Previous = domain.Completed })
			return s
		}, []string{"status order-" + orderA + ":2"}},
		{"an ended order is confirmed", func(s appends) appends {
			return append(s[:commitExpired+1], []entry{onOrder(orderB, domain.OrderConfirmed{OrderStep: step(orderB, domain.Canceled, domain.Confirmed), Payment: shownPayment(orderB, domain.Expired)})})
		}, []string{"status order-" + orderB + ":3", "order order-" + orderB}},
		{"a settled payment fails", func(s appends) appends {
			return append(s[:commitPaid+1], []entry{onPayment(orderA, domain.PaymentFailed{PaymentStep: payStep(orderA, domain.Settled, domain.Failed)})})
		}, []string{"status payment-" + payID(orderA) + ":4"}},
		{"an order completes and its show does not sell", func(s appends) appends {
			s[commitPaid] = drop[domain.TicketsSold](s[commitPaid])
			return s[:commitPaid+1]
		}, []string{"order order-" + orderA, "money order-" + orderA}},
		{"an open item is resolved twice", func(s appends) appends {
			s[commitResolved] = append(s[commitResolved], s[commitResolved][0])
			return s
		}, []string{"open-item inbox-202611:3"}},
		{"an event stands in another order's stream", func(s appends) appends {
			s[commitConfirmed][1].stream = "order-" + orderB
			return s[:commitConfirmed+1]
		}, []string{"event order-" + orderB + ":2"}},
		{"the order's refund is another than its payment's", func(s appends) appends {
			edit(s[commitRefunded], 0, func(e *domain.OrderRefunded) { e.Amount, e.RefundID = idr(9), "REFUND-X" })
			return s
		}, []string{"refund order-" + orderA}},
		{"an order says that its money went back, its payment does not", func(s appends) appends {
			s[commitRefunded] = drop[domain.RefundCompleted](s[commitRefunded])
			return s
		}, []string{"refund order-" + orderA}},
		{"a refund was given up, and its order says that it is due", func(s appends) appends {
			s[commitRefundFailed] = drop[domain.OrderRefunded](s[commitRefundFailed])
			return s
		}, []string{"refund order-" + orderC}},
		{"a refund is not told of its order", func(s appends) appends {
			s[commitPaidTwice] = drop[domain.OrderRefunded](s[commitPaidTwice])
			return s[:commitPaidTwice+1]
		}, []string{"refund order-" + orderA}},
		{"an order's refund is in another currency", func(s appends) appends {
			edit(s[commitRefunded], 0, func(e *domain.OrderRefunded) { e.Amount.Currency = "USD" })
			return s
		}, []string{"refund order-" + orderA + ":5"}},
		{"the same money is settled twice", func(s appends) appends {
			edit(s[commitPaid], 0, func(e *domain.PaymentSettled) { e.Reference = "m" })
			edit(s[commitPaidTwice], 0, func(e *domain.PaymentSettled) { e.Reference = "m" })
			return s
		}, []string{"money payment-" + payID(orderA) + ":4"}},
		{"the third money is the second", func(s appends) appends {
			for i, commit := range []int{commitPaid, commitPaidTwice} {
				edit(s[commit], 0, func(e *domain.PaymentSettled) { e.Reference = []string{"m", "n"}[i] })
			}
			third := slices.Concat([]entry{settledPayment(orderA, domain.Settled, 200)}, requestedRefund(orderA, "REFUND-A-3", 200, domain.Completed))
			edit(third, 0, func(e *domain.PaymentSettled) { e.Reference = "n" })
			return append(s[:commitPaidTwice+1], third)
		}, []string{"money payment-" + payID(orderA) + ":6"}},
		{"an order has the tickets of another", func(s appends) appends {
			edit(s[commitLate], 0, func(e *domain.OrderCompleted) {
				e.Tickets[0].TicketID, e.Tickets[1].TicketID = domain.TicketID(orderA, 1), domain.TicketID(orderA, 2)
			})
			return s
		}, []string{"tickets order-" + orderB + ":3"}},
		{"an order shows the payment of another", func(s appends) appends {
			edit(s[commitConfirmed], 0, func(e *domain.OrderConfirmed) { e.Payment.PaymentID = payID(orderB) })
			return s
		}, []string{"order order-" + orderA + ":2"}},
		{"an order is paid by the payment of another", func(s appends) appends {
			edit(s[commitPaid], 0, func(e *domain.OrderCompleted) { e.Payment.PaymentID = payID(orderB) })
			return s
		}, []string{"money order-" + orderA + ":3"}},
		{"a payment has the id of another order's", func(s appends) appends {
			const other = "ORDER-20261122-0000000e"
			request := []entry{onPayment(other, domain.PaymentRequested{PaymentStep: payStep(other, "", domain.Requested), Attempt: 1, Amount: idr(100)})}
			edit(request, 0, func(e *domain.PaymentRequested) { e.OrderID = orderD })
			return append(s, request)
		}, []string{"event payment-" + payID("ORDER-20261122-0000000e") + ":1"}},
		{"a ticket type comes from nowhere", func(s appends) appends {
			edit(s[commitPlaced], 0, func(e *domain.TicketsHeld) { e.Members[3].Lines = lines(9, 1); e.Totals[0].Held-- })
			edit(s[commitPlaced], 3, func(e *domain.OrderPlaced) { e.Lines[0].TicketTypeID = 9 })
			return s[:commitPlaced+1]
		}, []string{"totals show-1:2", "money order-" + orderD + ":1"}},
	}
}

func TestEveryViolationIsNamed(t *testing.T) {
	t.Parallel()
	for _, c := range plantings() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, f := range judged(t, write(t, c.plant(story()))).Findings {
				got = append(got, string(f.Kind)+" "+f.Key)
				if f.Position == 0 || f.Detail == "" {
					t.Errorf("%+v says too little", f)
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("found %q, want %q", got, c.want)
			}
		})
	}
}

func TestTheLogsFormIsChecked(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		tamper func(l *memoryLog)
		want   []string
	}{
		{"a row is changed", func(l *memoryLog) {
			e := &l.events[2]
			e.Data = []byte(strings.Replace(string(e.Data), `"customerRef":"c"`, `"customerRef":"d"`, 1))
		}, []string{"hash payment-" + payID(orderD) + ":1"}},
		{"metadata is changed", func(l *memoryLog) { l.events[2].Metadata = []byte(`{}`) }, []string{"hash payment-" + payID(orderD) + ":1"}},
		{"a hash is lost", func(l *memoryLog) { l.events[0].Hash = nil }, []string{"time show-1:2", "hash payment-" + payID(orderD) + ":1"}},
		{"the last hash is lost", func(l *memoryLog) { l.events[len(l.events)-1].Hash = nil }, []string{"hash events"}},
		{"an event is taken out", func(l *memoryLog) {
			l.events = slices.Delete(l.events, 10, 11) // PaymentInstructed
		}, []string{"position events", "version payment-" + payID(orderA) + ":3", "hash order-" + orderA + ":2"}},
		{"a version is missing", func(l *memoryLog) {
			for i := range l.events {
				if l.events[i].Stream == "inbox-202611" {
					l.events[i].Version += 3
				}
			}
		}, []string{"version inbox-202611:4", "hash inbox-202611:4"}},
		{"time runs backwards", func(l *memoryLog) { l.events[9].RecordedAt = begin().Add(-time.Hour) }, []string{"time"}},
		{"log_head has another hash", func(l *memoryLog) { l.end.Hash = make([]byte, 32) }, []string{"head log_head"}},
		{"log_head has another time", func(l *memoryLog) { l.end.Time = begin() }, []string{"head log_head"}},
		{"log_head is behind the last event", func(l *memoryLog) {
			l.end.Position, l.end.Hash, l.end.Time = 1, l.events[0].Hash, l.events[0].RecordedAt
		}, []string{"head log_head"}},
		{"log_head is ahead of the last event", func(l *memoryLog) { l.end.Position++ }, []string{"head log_head"}},
		{"an event can't be read", func(l *memoryLog) { l.events[0].Data = []byte(`[]`) }, []string{"event show-1:1"}},
		{"an event is of a type that nobody knows", func(l *memoryLog) { l.events[0].Type = "ShowDanced" }, []string{"status show-1:1", "event show-1:1"}},
		{"an event is of a schema that nobody knows", func(l *memoryLog) { l.events[0].SchemaVersion = 9 }, []string{"event show-1:1"}},
		{"a stream has no kind", func(l *memoryLog) { l.events[0].Stream = "concert-1" }, []string{"event concert-1:1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			log := write(t, story())
			c.tamper(log)
			r := judged(t, log)
			var got []string
			for _, f := range r.Findings {
				got = append(got, string(f.Kind)+" "+f.Key)
			}
			for _, want := range c.want {
				if !slices.ContainsFunc(got, func(g string) bool { return strings.HasPrefix(g, want) }) {
					t.Errorf("found %q, want %q among them", got, want)
				}
			}
		})
	}
}

func TestALogThatGrowsMeanwhileIsSound(t *testing.T) {
	t.Parallel()
	commits, looks := story(), 0
	log := write(t, commits[:3])
	log.grow = func(l *memoryLog) {
		if looks++; looks > 1 && 1+looks < len(commits) {
			l.append(t, commits[1+looks])
		}
	}
	if r := judged(t, log); !r.Ok() || r.Head.Position != 12 {
		t.Errorf("the report is %+v", r)
	}
}

func TestOnlyTheFirstFindingsAreListed(t *testing.T) {
	t.Parallel()
	log := write(t, story())
	f := &findings{}
	for range MaxFindings + 5 {
		f.add(KindRow, "x", 0, "y")
	}
	if f.count != MaxFindings+5 || len(f.list) != MaxFindings {
		t.Errorf("%d counted, %d listed", f.count, len(f.list))
	}
	if r := judged(t, log); !r.Ok() {
		t.Errorf("the report is %+v", r)
	}
}

func TestKeysKeepIdsApart(t *testing.T) {
	t.Parallel()
	orders, payments := newNames("ORDER-", false), newNames("PAY-", true)
	for _, id := range []string{
		orderA, "ORDER-99991231-ffffffff", "ORDER-20261122-0000000A", "ORDER-20261122-000000a", "ORDER-20261122-0000000a-1", "", "x",
	} {
		first, again := orders.of(id), orders.of(id)
		if got := orders.text(first); got != id || first != again {
			t.Errorf("%q became %q", id, got)
		}
	}
	for _, id := range []string{
		"PAY-20261122-0000000a-1", "PAY-20261122-0000000a-15", "PAY-20261122-0000000a-16", "PAY-20261122-0000000a-01", "PAY-20261122-0000000a-0", "PAY-20261122-0000000a",
	} {
		if got := payments.text(payments.of(id)); got != id {
			t.Errorf("%q became %q", id, got)
		}
	}
}
