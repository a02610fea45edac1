package gateways_test

import (
	"strings"
	"testing"

	"boxoffice/cmd/internal/gateways"
)

func TestAGatewayThatNobodyKnowsIsRefusedWithThoseThatAreKnown(t *testing.T) {
	t.Parallel()
	_, err := gateways.New("nobody", gateways.Settings{})
	if err == nil {
		t.Fatal("it was made")
	}
	for _, name := range gateways.Names() {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%q does not name %s", err, name)
		}
	}
}
