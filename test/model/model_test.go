package model

import (
	"context"
	"flag"
	"fmt"
	"os"
	"testing"
)

var (
	seeds = flag.Int("seeds", 4, "how many seeds to run")
	seed  = flag.Uint64("seed", 1, "the first of them")

	stride     = flag.Int("stride", 0, "run every nth of the enumerated plans")
	everything = flag.Bool("everything", false, "run all of the enumerated plans, which takes long")
)

// pair is shared by the tests, which come one after the other.
var pair *Pair

func TestMain(m *testing.M) {
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	flag.Parse()
	ctx := context.Background()
	var err error
	if pair, err = Boot(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer pair.Close(ctx)
	return m.Run()
}

// Every plan ends in the same state as the scenario without a fault, and with no promise broken on the way.
func TestEnumeratedPlans(t *testing.T) {
	options := Default
	if *everything {
		options = Everything
	}
	if n := *stride; n > 0 {
		options = EnumerateOptions{WriteStride: n, ReadStride: n, LagStride: n, NetStride: n, AtATime: options.AtATime}
	}
	report, err := pair.Enumerate(t.Context(), options)
	if report != nil {
		t.Logf("\n%s", report)
	}
	if err != nil {
		t.Fatal(err)
	}
	if run, met := report.Plans(); met < run*3/4 {
		t.Errorf("%d of %d plans have met their call; that is too few to show anything", met, run)
	}
}

// Every seed ends with both clusters as they should be, and with no promise broken on the way.
func TestSeeds(t *testing.T) {
	runSeeds(t, *seeds, pair.Run)
}

// A mass deletion is held until an operator lets it through, or its cause is undone.
func TestBrakeSeeds(t *testing.T) {
	runSeeds(t, min(2, *seeds), pair.RunBrake)
}

// A source that was restored from a backup takes nothing away as long as it is behind. This is the last test: it makes
// one of the clusters forget.
func TestRestoreSeeds(t *testing.T) {
	runSeeds(t, 1, pair.RunRestore)
}

func runSeeds(t *testing.T, count int, run func(context.Context, uint64) (Statistics, error)) {
	t.Helper()
	var total Statistics
	for n := range count {
		statistics, err := run(t.Context(), *seed+uint64(n))
		total.Add(statistics)
		if err != nil {
			t.Error(err)
		}
	}
	t.Logf("\n%s", total)
	if total.Writes == 0 || total.Destructions == 0 {
		t.Error("xcc has written or taken away nothing, so nothing was shown")
	}
}
