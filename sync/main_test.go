package sync

import (
	"flag"
	"testing"

	"go.uber.org/goleak"
)

// TestMain fails where a test leaves a goroutine behind. The property tests draw the same each time, so that a change is not
// blamed for what it didn't do; `make soak` draws anew. What they draw is told by its seed; no file is kept.
func TestMain(m *testing.M) {
	for name, value := range map[string]string{"rapid.nofailfile": "true", "rapid.seed": "1"} {
		if err := flag.Set(name, value); err != nil {
			panic(err)
		}
	}
	flag.Parse()
	goleak.VerifyTestMain(m)
}
