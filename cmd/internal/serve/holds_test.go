package serve_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"boxoffice/cmd/internal/config"
	"boxoffice/domain"
)

func TestAHoldThatNobodyPaysGivesItsTicketsBack(t *testing.T) {
	t.Parallel()
	const ttl = 2 * time.Second
	o, p := running(t, ttl)
	p.createShow(1, 10)
	begun := time.Now()
	first := p.mustPlace(wish{customer: "ana", quantity: 10})
	if refused := p.place(wish{customer: "ben"}); refused.code != "sold_out" || refused.held != 10 {
		t.Errorf("while all is held, the next buyer got %s", refused.answer)
	}
	eventually(t, "the tickets are on sale again", func() string {
		if again := p.place(wish{customer: "ben", quantity: 10}); again.status != http.StatusOK {
			return again.String()
		}
		return ""
	})
	took := time.Since(begun)
	t.Logf("a hold of %s gave its tickets back after %s", ttl, took.Round(time.Millisecond))
	if grace := ttl / 5; took < ttl+grace {
		t.Errorf("a hold of %s ended after %s, before its grace was over", ttl, took)
	}
	if order := p.await(first, domain.Canceled); order.Reason != domain.ReasonHoldExpired {
		t.Errorf("it ended by %s", order.Reason)
	}
	eventually(t, "the second hold ends with nobody at the door", func() string {
		if n := len(eventsOf[domain.HoldsExpired](o)); n != 2 {
			return fmt.Sprintf("two holds ended in %d events", n)
		}
		return ""
	})
	p.awaitStock(1, 0, 0, 10)
}

func TestExpiredHoldsAtTheHeadOfTheQueueDoNotHideTheNext(t *testing.T) {
	t.Run("a hundred of one show", func(t *testing.T) {
		t.Parallel()
		o, p := running(t, time.Second)
		p.createShow(1, 300)
		parallel(t, 150, 32, func(i int) placed { return p.place(wish{customer: fmt.Sprint("buyer-", i)}) })
		p.createShow(2, 1)
		p.mustPlace(wish{customer: "ana", show: 2})
		p.awaitStock(2, 0, 0, 1)
		p.awaitStock(1, 0, 0, 300)
		if n := len(eventsOf[domain.OrderCanceled](o)); n != 151 {
			t.Errorf("%d of 151 orders ended", n)
		}
	})
	t.Run("a hundred shows, and a hundred that there is nothing to do for", func(t *testing.T) {
		t.Parallel()
		const shows = 105
		o := open(t, time.Second)
		p := o.start("api", config.API)
		parallel(t, shows, 16, func(i int) placed {
			p.createShow(int64(i+1), 1)
			return p.place(wish{customer: "ana", key: fmt.Sprint("show-", i), show: int64(i + 1)})
		})
		// As rows would be if work was done elsewhere, or for a show that a restore has lost.
		if _, err := o.db.ExecContext(t.Context(), `INSERT INTO due (show_id, at)
			SELECT n, '2020-01-01T00:00:00Z' FROM generate_series(1, 305) AS n
			ON CONFLICT (show_id) DO UPDATE SET at = excluded.at`); err != nil {
			t.Fatal(err)
		}
		p.createShow(1000, 1)
		p.mustPlace(wish{customer: "ana", show: 1000})
		eventually(t, "all holds end", func() string {
			if n := len(eventsOf[domain.OrderCanceled](o)); n != shows+1 {
				return fmt.Sprintf("%d of %d orders ended", n, shows+1)
			}
			return ""
		})
		o.start("rest", config.Relay, config.Projections)
		p.awaitStock(1000, 0, 0, 1)
	})
}
