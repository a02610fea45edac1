package simulator

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"

	"boxoffice/eventstore"
)

const (
	senders     = 64               // deliveries under way at a time
	sendTimeout = 10 * time.Second // of one try
	lease       = 60 * time.Second // a delivery that was taken and not finished is taken again after this
	idle        = time.Second      // the longest wait before the queue is looked at again
	finishTime  = 5 * time.Second  // to note what became of a delivery, at the end of Run too

	maxTries   = 12 // of one delivery, over about four minutes
	firstPause = 200 * time.Millisecond
	mostPause  = 60 * time.Second
	maxAnswer  = 64 << 10 // bytes of an answer that are read
)

// delivery is one webhook in the queue.
type delivery struct {
	ID        int64     `db:"delivery_id"`
	PaymentID string    `db:"payment_id"`
	Status    string    `db:"status"`
	Amount    int64     `db:"amount"`
	Currency  string    `db:"currency"`
	Reference string    `db:"reference"`
	MadeAt    time.Time `db:"made_at"`
	Tries     int       `db:"tries"`
}

// result is what became of a try: the delivery is due again after a pause, or done.
type result struct {
	id      int64
	again   bool
	pauseMS int64
}

// Run sends what is queued until ctx ends, and takes back what was under way then. It returns nil. A database
// that does not answer is asked again.
func (s *Simulator) Run(ctx context.Context) error {
	queue := make(chan delivery)
	var sending sync.WaitGroup
	for range senders {
		sending.Go(func() {
			for d := range queue {
				s.finish(ctx, s.try(ctx, d))
			}
		})
	}
	defer s.Client.CloseIdleConnections()
	defer sending.Wait()
	defer close(queue)
	for ctx.Err() == nil {
		due, next, err := s.take(ctx)
		if err != nil && ctx.Err() == nil {
			s.Log.WarnContext(ctx, "simulator can't read its queue", "error", err)
		}
		for _, d := range due {
			queue <- d
		}
		if len(due) == senders {
			continue // there may be more
		}
		timer := time.NewTimer(next)
		select {
		case <-s.wake:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
	return nil
}

// take leases what is due, and says how long it is until more will be.
func (s *Simulator) take(ctx context.Context) (due []delivery, next time.Duration, err error) {
	err = s.relaxed(ctx, func(tx *sqlx.Tx) error {
		return tx.SelectContext(ctx, &due, `
			UPDATE simulator_deliveries d SET tries = tries + 1, due_at = now() + $2::bigint * interval '1 millisecond'
			FROM (SELECT delivery_id FROM simulator_deliveries WHERE due_at <= now()
				ORDER BY due_at, delivery_id LIMIT $1 FOR UPDATE SKIP LOCKED) AS first
			WHERE d.delivery_id = first.delivery_id
			RETURNING d.delivery_id, d.payment_id, d.status, d.amount, d.currency, d.reference, d.made_at, d.tries`,
			senders, lease.Milliseconds())
	})
	if err != nil {
		return nil, idle, err
	}
	var wait *int64
	err = s.db.GetContext(ctx, &wait,
		`SELECT ceil(extract(epoch FROM min(due_at) - now()) * 1000)::bigint FROM simulator_deliveries`)
	if err != nil || wait == nil {
		return due, idle, err
	}
	return due, min(max(time.Duration(*wait)*time.Millisecond, 0), idle), nil
}

// try sends a delivery once.
func (s *Simulator) try(ctx context.Context, d delivery) result {
	status, err := s.post(ctx, d)
	switch {
	case ctx.Err() != nil && err != nil:
		return result{id: d.ID, again: true} // taken back
	case err == nil && status >= 200 && status < 300:
		return result{id: d.ID}
	case err == nil && status >= 400 && status < 500 && status != http.StatusRequestTimeout && status != http.StatusTooManyRequests:
		s.Log.WarnContext(ctx, "webhook refused", "payment", d.PaymentID, "status", status)
		return result{id: d.ID}
	case d.Tries >= maxTries:
		s.Log.WarnContext(ctx, "webhook given up", "payment", d.PaymentID, "tries", d.Tries, "status", status, "error", err)
		return result{id: d.ID}
	}
	pause := min(firstPause<<(d.Tries-1), mostPause)
	return result{id: d.ID, again: true, pauseMS: pause.Milliseconds()}
}

// webhookBody is the owner's format.
type webhookBody struct {
	Header struct {
		RequestID string    `json:"requestId"`
		RequestDS time.Time `json:"requestDS"`
		UName     string    `json:"uName"`
	} `json:"header"`
	Payload struct {
		PaymentID string `json:"paymentId"`
		Status    string `json:"status"`
		Amount    *int64 `json:"amount,omitempty"`
		Currency  string `json:"currency,omitempty"`
		Reference string `json:"reference,omitempty"`
	} `json:"payload"`
}

func (d delivery) webhookID() string { return "msg_" + strconv.FormatInt(d.ID, 10) }

func (d delivery) body() ([]byte, error) {
	var b webhookBody
	b.Header.RequestID, b.Header.RequestDS, b.Header.UName = d.webhookID(), d.MadeAt.UTC().Truncate(time.Second), Name
	b.Payload.PaymentID, b.Payload.Status = d.PaymentID, d.Status
	if d.Status == Success {
		b.Payload.Amount, b.Payload.Currency, b.Payload.Reference = &d.Amount, d.Currency, d.Reference
	}
	return json.Marshal(b)
}

func (s *Simulator) post(ctx context.Context, d delivery) (status int, err error) {
	body, err := d.body()
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.PublicURL+webhookPath, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	request.Header.Set("Content-Type", "application/json")
	s.Secret.Sign(request.Header, d.webhookID(), s.Now(), body)
	answer, err := s.Client.Do(request)
	if err != nil {
		return 0, err
	}
	// Read to its end, so that the connection can be used again.
	_, err = io.Copy(io.Discard, io.LimitReader(answer.Body, maxAnswer))
	return answer.StatusCode, errors.Join(err, answer.Body.Close())
}

// finish notes what became of a try, also when ctx has ended.
func (s *Simulator) finish(ctx context.Context, r result) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishTime)
	defer cancel()
	if _, err := s.results.Do(ctx, r); err != nil {
		s.Log.WarnContext(ctx, "webhook may be sent again", "error", err)
	}
}

func (s *Simulator) storeResults(ctx context.Context, results []result) ([]struct{}, error) {
	var done []int64
	var again []result
	for _, r := range results {
		if r.again {
			again = append(again, r)
		} else {
			done = append(done, r.id)
		}
	}
	err := s.relaxed(ctx, func(tx *sqlx.Tx) error {
		if _, err := tx.ExecContext(ctx,
			`DELETE FROM simulator_deliveries WHERE delivery_id = ANY($1::bigint[])`, eventstore.Int8Array(done)); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `
			UPDATE simulator_deliveries d SET due_at = now() + r.pause_ms * interval '1 millisecond'
			FROM unnest($1::bigint[], $2::bigint[]) AS r(delivery_id, pause_ms) WHERE d.delivery_id = r.delivery_id`,
			eventstore.Int8Array(each(again, func(r result) int64 { return r.id })),
			eventstore.Int8Array(each(again, func(r result) int64 { return r.pauseMS })))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("simulator: note %d webhooks: %w", len(results), err)
	}
	return make([]struct{}, len(results)), nil
}

// newClient makes a client for the webhooks: it keeps as many connections as there are senders and follows no redirects.
func newClient() *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConns, transport.MaxIdleConnsPerHost = senders, senders
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
