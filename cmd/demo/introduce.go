package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"boxoffice/cmd/internal/config"
)

const (
	tryEvery     = 50 * time.Millisecond
	introduction = 90 * time.Second // for the sample shows to be on sale
)

// ticketType is a ticket type of a sample show.
type ticketType struct {
	TicketTypeID int64  `json:"ticketTypeId"`
	Name         string `json:"name"`
	Price        int64  `json:"price"`
	Capacity     int64  `json:"capacity"`
}

// sampleShow is a show that the demo has on sale from its first start on.
type sampleShow struct {
	ShowID      int64        `json:"showId"`
	Name        string       `json:"name"`
	Venue       string       `json:"venue"`
	StartsAt    time.Time    `json:"startsAt"`
	TimeZone    string       `json:"timeZone"`
	Currency    string       `json:"currency"`
	TicketTypes []ticketType `json:"ticketTypes"`
}

// sampleShows are what the demo sells. Show 1 with ticket type 1 takes the owner's request as it is printed.
func sampleShows() []sampleShow {
	jakarta := time.FixedZone("WIB", 7*60*60)
	return []sampleShow{
		{
			1, "Senja di Jakarta", "Istora Senayan", time.Date(2031, 5, 3, 20, 0, 0, 0, jakarta), "Asia/Jakarta", "IDR",
			[]ticketType{{1, "Festival", 150000, 2000}, {2, "Tribune", 350000, 500}},
		},
		{
			2, "Night Train", "Paradiso", time.Date(2031, 6, 14, 19, 30, 0, 0, time.UTC), "Europe/Amsterdam", "EUR",
			[]ticketType{{1, "Standing", 4250, 1200}, {2, "Balcony", 5900, 180}},
		},
		{
			3, "Ten Chairs", "The Back Room", time.Date(2031, 7, 1, 21, 0, 0, 0, jakarta), "Asia/Jakarta", "IDR",
			[]ticketType{{1, "Chair", 90000, 10}},
		},
	}
}

// introduce puts the sample shows on sale, as an operator would, and returns when buyers can see them.
func introduce(ctx context.Context, about config.Demo) error {
	ctx, cancel := context.WithTimeoutCause(ctx, introduction, fmt.Errorf("the sample shows were not on sale within %s", introduction))
	defer cancel()
	for _, show := range sampleShows() {
		body, err := json.Marshal(show)
		if err != nil {
			return fmt.Errorf("encode a sample show: %w", err)
		}
		err = insist(ctx, func() (bool, error) {
			request, err := http.NewRequestWithContext(ctx, http.MethodPost, about.URL+"/shows", bytes.NewReader(body))
			if err != nil {
				return false, err
			}
			request.Header.Set("Content-Type", "application/json")
			request.Header.Set("Authorization", "Bearer "+about.OperatorKey)
			request.Header.Set("Idempotency-Key", "sample-show-"+strconv.FormatInt(show.ShowID, 10))
			return answered(request, http.StatusCreated, http.StatusConflict, http.StatusUnprocessableEntity)
		})
		if err != nil {
			return fmt.Errorf("put sample show %d on sale: %w", show.ShowID, err)
		}
		err = insist(ctx, func() (bool, error) {
			url := about.URL + "/shows/" + strconv.FormatInt(show.ShowID, 10) + "/availability"
			request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
			if err != nil {
				return false, err
			}
			return answered(request, http.StatusOK)
		})
		if err != nil {
			return fmt.Errorf("see sample show %d: %w", show.ShowID, err)
		}
	}
	return nil
}

// answered sends a request and reports whether the answer is one of those that are good. A client's fault is an error.
func answered(request *http.Request, good ...int) (bool, error) {
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false, nil // not there yet
	}
	defer func() { _ = response.Body.Close() }()
	if slices.Contains(good, response.StatusCode) {
		return true, nil
	}
	if response.StatusCode >= 400 && response.StatusCode < 500 && response.StatusCode != http.StatusNotFound {
		return false, fmt.Errorf("%s %s: %s", request.Method, request.URL.Path, response.Status)
	}
	return false, nil
}

// insist tries until it is good, it can't be, or ctx ends.
func insist(ctx context.Context, try func() (bool, error)) error {
	for {
		good, err := try()
		if good || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(tryEvery):
		}
	}
}
