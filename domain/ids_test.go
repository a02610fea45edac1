package domain

import (
	"reflect"
	"testing"
	"time"
)

func TestOrderOf(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]string{
		"ORDER-20250205-338aa78d":        "ORDER-20250205-338aa78d",
		"PAY-20250205-338aa78d-1":        "ORDER-20250205-338aa78d",
		"PAY-20250205-338aa78d-10":       "ORDER-20250205-338aa78d",
		"":                               "",
		"ORDER-":                         "",
		"PAY-":                           "",
		"ORDER-20250205-338AA78D":        "",
		"ORDER-20250205-338aa78":         "",
		"ORDER-20250205-338aa78d0":       "",
		"ORDER-20250231-338aa78d":        "",
		"ORDER-2025+205-338aa78d":        "",
		"ORDER-20250205-338aa78g":        "",
		"ORDER-20250205-338aa78d-1":      "",
		"order-20250205-338aa78d":        "",
		"PAY-20250205-338aa78d":          "",
		"PAY-20250205-338aa78d-":         "",
		"PAY-20250205-338aa78d-0":        "",
		"PAY-20250205-338aa78d-01":       "",
		"PAY-20250205-338aa78d-+1":       "",
		"PAY-20250205-338aa78d-11":       "",
		"PAY-20250205-338aa78d_1":        "",
		"PAY-20250205-338aa78d-1 ":       "",
		"PAY-20250205-338aa78d-99999999": "",
		"show-42":                        "",
	} {
		got, ok := OrderOf(id)
		if ok != (want != "") || ok && got != want {
			t.Errorf("OrderOf(%q) = %q, %v", id, got, ok)
		}
	}
}

func TestIds(t *testing.T) {
	t.Parallel()
	day := time.Date(2025, 2, 6, 1, 0, 0, 0, time.FixedZone("WIB", 7*3600))
	wantEqual(t, OrderID(day, 0x338aa78d), "ORDER-20250205-338aa78d")
	wantEqual(t, PaymentID("ORDER-20250205-338aa78d", 2), "PAY-20250205-338aa78d-2")
	wantEqual(t, InboxStream(day), "inbox-202502")
	for id := range map[string]bool{"": true, "x": true, "ORDER": true} {
		_ = PaymentID(id, 1) + HoldID(id, 1) + TicketID(id, 1) + RefundID(id, 1)
	}
}

func TestParseStream(t *testing.T) {
	t.Parallel()
	for stream, want := range map[string]struct {
		kind StreamKind
		id   string
	}{
		ShowStream(42):            {StreamShow, "42"},
		OrderStream(order1):       {StreamOrder, order1},
		PaymentStream(pay1):       {StreamPayment, pay1},
		InboxStream(begin):        {StreamInbox, "202502"},
		"elsewhere":               {},
		"ORDER-20250205-338aa78d": {},
		"":                        {},
	} {
		if kind, id := ParseStream(stream); kind != want.kind || id != want.id {
			t.Errorf("ParseStream(%q) = %d, %q", stream, kind, id)
		}
	}
}

func TestWhatACommandNeeds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		command Command
		want    Needs
	}{
		{PlaceOrder{ShowID: 7}, Needs{ShowID: 7}},
		{EndDue{7}, Needs{ShowID: 7}},
		{ReturnTickets{7, []string{order1}}, Needs{ShowID: 7, Orders: []string{order1}}},
		{CancelOrder{OrderID: order1}, Needs{OrderID: order1}},
		{instructed(pay1), Needs{OrderID: order1}},
		{RecordRefund{PaymentID: pay1}, Needs{OrderID: order1}},
		{paid(order1, ""), Needs{OrderID: order1, Inbox: true}},
		{paid("???", ""), Needs{Inbox: true}},
		{failed(pay1), Needs{OrderID: order1, Inbox: true}},
		{ResolveOpenItem{Stream: PaymentStream(pay1)}, Needs{OrderID: order1}},
		{ResolveOpenItem{Stream: inbox1}, Needs{Stream: inbox1}},
		{ResolveOpenItem{Stream: "show-1"}, Needs{}},
	} {
		if got := c.command.Needs(); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%T needs %+v, want %+v", c.command, got, c.want)
		}
	}
}
