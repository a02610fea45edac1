package commands_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"boxoffice/commands"
	"boxoffice/domain"
	"boxoffice/internal/httpapi"
)

// The door turns a request into a command, sends it, and turns what became of it into an answer. Here nobody
// decides: the sender says that everything is sold.
func Example() {
	secrets, _ := httpapi.ParseSecrets("a secret that has thirty-two characters")
	door := commands.Door{
		Send: func(_ context.Context, c domain.Command, o commands.Origin) (commands.Answer, error) {
			fmt.Printf("%s sends %T of show %d\n", o.Actor, c, c.Needs().ShowID)
			return commands.Answer{}, &domain.Rejection{Code: domain.SoldOut, Detail: "Everything is sold.", Held: 3}
		},
		Secrets: secrets, HoldTTL: 15 * time.Minute, Now: time.Now,
		CustomerRef: func(string) string { return "ref" },
	}
	handler, _ := httpapi.NewHandler(httpapi.Config{}, door.Routes())

	request := httptest.NewRequest(http.MethodPost, "/orders/ticket", strings.NewReader(
		`{"header":{"requestId":"123456","requestDS":"2025-02-03T12:00:00Z","uName":"USER_TESTING"},
		  "payload":{"ticketId":1,"eventId":1,"quantity":2,"paymentMethod":"QRIS"}}`))
	request.Header.Set("Content-Type", "application/json")
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, request)
	fmt.Println(answer.Code, answer.Body)
	// Output:
	// customer sends domain.PlaceOrder of show 1
	// 409 {"header":{"responseCode":"01","responseMessage":"STOCK IS NOT AVAILABLE"},"payload":{"code":"sold_out","detail":"Everything is sold.","available":0,"held":3}}
}
