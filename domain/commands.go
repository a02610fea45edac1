package domain

import "time"

// Command is a wish. Only the types of this package are commands.
type Command interface {
	// Needs names what must be loaded before the command can be decided.
	Needs() Needs
}

// PlaceOrder asks for tickets of one show; all lines or none.
type PlaceOrder struct {
	OrderID     string // drawn by the caller for each try; used up only if the order is accepted
	ShowID      int64
	Lines       []HeldLine
	CustomerRef string
	Method      PaymentMethod // empty: the show's first
	RequestedAt time.Time     // requestDS of the owner's format, or zero
	TTL         time.Duration // how long the tickets are held
}

// RequestPayment asks for one more payment of a live order. An older one that is still open is voided.
type RequestPayment struct {
	OrderID string
	Method  PaymentMethod
}

// CancelOrder ends an order: a live one for its customer or an operator, a completed one for an operator only.
type CancelOrder struct {
	OrderID    string
	ByOperator bool
	Note       string
}

// RecordInstruction stores what the gateway answered to a charge.
type RecordInstruction struct {
	PaymentID string
	QR        string
	URL       string
	ChargeID  string
	ExpiresAt time.Time
}

// SettlePayment reports money. PaymentID may be a payment's id or an order's.
type SettlePayment struct {
	Gateway       string
	PaymentID     string
	Amount        *int64 // nil: not told, taken as right
	Currency      string // empty: not told, taken as right
	Reference     string // the gateway's id of the money, if it has one
	GatewayStatus string
}

// FailPayment reports that no money will come with a payment. PaymentID may be a payment's id or an order's.
type FailPayment struct {
	Gateway       string
	PaymentID     string
	GatewayStatus string
	Detail        string
}

// EndDue ends what is due on a show: holds past their release time, and orders of a canceled show.
type EndDue struct{ ShowID int64 }

// RecordRefund stores what became of a refund at the gateway. Failed means that it was given up.
type RecordRefund struct {
	PaymentID string
	RefundID  string
	Failed    bool
	GatewayID string
	Attempts  int
	Detail    string
}

// ResolveOpenItem closes an open item with a reason. Stream and Version are those of the event that opened it.
type ResolveOpenItem struct {
	Stream  string
	Version int64
	Reason  string
}

// CreateShow puts a show on the books. ShowID 0 is not allowed: the caller draws one where the client gave none.
type CreateShow struct {
	ShowID         int64
	Name           string
	Venue          string
	StartsAt       time.Time
	TimeZone       string
	Currency       string
	PaymentMethods []PaymentMethod // empty: all that fit the currency
	TicketTypes    []TicketType
}

// ChangeShow changes a show's description; nil leaves a part as it is.
type ChangeShow struct {
	ShowID   int64
	Name     *string
	Venue    *string
	StartsAt *time.Time
}

// AddTicketType adds a ticket type to a show.
type AddTicketType struct {
	ShowID     int64
	TicketType TicketType
}

// ChangeTicketType changes a ticket type; nil leaves a part as it is, a zero time or limit removes it.
type ChangeTicketType struct {
	ShowID         int64
	TicketTypeID   int64
	Name           *string
	Price          *int64
	Capacity       *int64
	MaxPerOrder    *int64
	MaxPerCustomer *int64
	SalesFrom      *time.Time
	SalesTo        *time.Time
}

// PauseSales stops placements on a show. Pausing a paused show changes nothing.
type PauseSales struct{ ShowID int64 }

// ResumeSales lets placements go on. Resuming a show that sells changes nothing.
type ResumeSales struct{ ShowID int64 }

// CancelShow stops a show's sales for good; its orders end in steps of EndDue.
type CancelShow struct {
	ShowID int64
	Reason string
}
