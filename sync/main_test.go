package sync

import (
	"flag"
	"testing"

	"go.uber.org/goleak"
)

// TestMain fails where a test leaves a goroutine behind. What a property test draws is told by its seed; no file is kept.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("rapid.nofailfile", "true"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}
