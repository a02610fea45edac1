package logtest_test

import (
	"testing"

	"boxoffice/internal/devstack"
)

func TestMain(m *testing.M) { devstack.Main(m) }
