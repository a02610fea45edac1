package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestAWrongAddressIsWrongUsage(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"foo", "127.0.0.1", ":http-alt", ":70000", ""} {
		var stderr bytes.Buffer
		if _, err := parse([]string{"--addr", address}, &stderr); !errors.Is(err, errUsage) || !strings.Contains(err.Error(), "--addr: ") {
			t.Errorf("--addr %q gives %v", address, err)
		}
	}
	if _, err := parse([]string{"--addr", ":0"}, &bytes.Buffer{}); err != nil {
		t.Errorf("--addr :0 gives %v", err)
	}
}
