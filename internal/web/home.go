package web

import (
	"bytes"
	"fmt"
	"html/template"
	"net/http"
	"strconv"
	"strings"
	"time"

	"boxoffice/domain"
	"boxoffice/internal/views"
)

// MaxShows is how many shows the page lists.
const MaxShows = 24

var homePage = template.Must(template.New("home.html").Funcs(template.FuncMap{
	"count": views.Count, "money": money, "when": when, "status": status, "bar": barOf,
}).ParseFS(assets, "assets/home.html"))

// homeView is all that the template of the page at / is filled with.
type homeView struct {
	Shows []Show
	More  int // shows that are not listed
	URL   string
}

func (c Config) home(w http.ResponseWriter, r *http.Request) error {
	shows, err := c.Shows(r.Context())
	if err != nil {
		return fmt.Errorf("list the shows: %w", err)
	}
	view := homeView{Shows: shows, URL: c.baseURL(r)}
	if len(shows) > MaxShows {
		view.Shows, view.More = shows[:MaxShows], len(shows)-MaxShows
	}
	// Rendered whole before anything is sent, so that a fault never leaves half a page.
	var page bytes.Buffer
	if err := homePage.Execute(&page, view); err != nil {
		return fmt.Errorf("render the page: %w", err)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(page.Len()))
	_, _ = w.Write(page.Bytes()) // a failed write means that the browser is gone
	return nil
}

// baseURL is how this caller reaches us. A Host that is more than a name and a port is not repeated, because the
// page offers it inside a shell command.
func (c Config) baseURL(r *http.Request) string {
	if c.PublicURL != "" {
		return strings.TrimSuffix(c.PublicURL, "/")
	}
	for _, char := range r.Host {
		if !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:[]", char) {
			return "http://127.0.0.1:8080"
		}
	}
	return "http://" + r.Host
}

// bar is how full a ticket type is, in per cent of its capacity.
type bar struct{ Sold, Held float64 }

func barOf(t TicketType) bar {
	if t.Capacity <= 0 {
		return bar{}
	}
	whole := float64(t.Capacity)
	return bar{Sold: 100 * float64(t.Sold) / whole, Held: 100 * float64(t.Held) / whole}
}

// money writes an amount as people of its currency do.
func money(amount int64, currency string) string {
	return views.Price(domain.Money{Amount: amount, Currency: currency})
}

// when writes a time on the clock of the venue, and names its zone.
func when(s Show) string {
	at := s.StartsAt
	if zone, err := time.LoadLocation(s.TimeZone); err == nil && s.TimeZone != "" {
		at = at.In(zone)
	}
	return at.Format("Mon 2 Jan 2006, 15:04 MST")
}

// status is the show's status in words.
func status(s string) string {
	switch s {
	case "on_sale":
		return "On sale"
	case "upcoming":
		return "Sales not open yet"
	case "paused":
		return "Sales paused"
	case "sold_out":
		return "Sold out"
	case "ended":
		return "Sales ended"
	case "canceled":
		return "Canceled"
	default:
		return s
	}
}
