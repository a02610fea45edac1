package domain

// Needs names what must be loaded before a command can be decided. What does not exist is left out of States.
type Needs struct {
	ShowID  int64  // 0: none
	OrderID string // "": none; an order brings its show and all its payments with it
	Stream  string // "": none; the inbox stream in which an open item stands
	Inbox   bool   // the inbox of the batch's month, InboxStream(at): the command may end there
}

// Needs names the show.
func (c PlaceOrder) Needs() Needs { return Needs{ShowID: c.ShowID} }

// Needs names the order.
func (c RequestPayment) Needs() Needs { return needsOrder(c.OrderID) }

// Needs names the order.
func (c CancelOrder) Needs() Needs { return needsOrder(c.OrderID) }

// Needs names the order of the payment, if the id has the form of one.
func (c RecordInstruction) Needs() Needs { return needsOrder(c.PaymentID) }

// Needs names the order, if the id has the form of one, and the inbox for a delivery that matches nothing.
func (c SettlePayment) Needs() Needs { return needsOrderOrInbox(c.PaymentID) }

// Needs names the order, if the id has the form of one, and the inbox for a delivery that matches nothing.
func (c FailPayment) Needs() Needs { return needsOrderOrInbox(c.PaymentID) }

// Needs names the show. The orders of its DueOrders must be loaded too.
func (c EndDue) Needs() Needs { return Needs{ShowID: c.ShowID} }

// Needs names the order of the payment, if the id has the form of one.
func (c RecordRefund) Needs() Needs { return needsOrder(c.PaymentID) }

// Needs names the show, which may exist already.
func (c CreateShow) Needs() Needs { return Needs{ShowID: c.ShowID} }

// Needs names the show.
func (c ChangeShow) Needs() Needs { return Needs{ShowID: c.ShowID} }

// Needs names the show.
func (c AddTicketType) Needs() Needs { return Needs{ShowID: c.ShowID} }

// Needs names the show.
func (c ChangeTicketType) Needs() Needs { return Needs{ShowID: c.ShowID} }

// Needs names the show.
func (c PauseSales) Needs() Needs { return Needs{ShowID: c.ShowID} }

// Needs names the show.
func (c ResumeSales) Needs() Needs { return Needs{ShowID: c.ShowID} }

// Needs names the show.
func (c CancelShow) Needs() Needs { return Needs{ShowID: c.ShowID} }

// Needs names the order of a payment's open item, or the inbox in which the item stands.
func (c ResolveOpenItem) Needs() Needs {
	switch kind, id := ParseStream(c.Stream); kind {
	case StreamPayment:
		return needsOrder(id)
	case StreamInbox:
		return Needs{Stream: c.Stream}
	default:
		return Needs{}
	}
}

func needsOrder(id string) Needs {
	orderID, _ := OrderOf(id)
	return Needs{OrderID: orderID}
}

func needsOrderOrInbox(id string) Needs {
	needs := needsOrder(id)
	needs.Inbox = true
	return needs
}
