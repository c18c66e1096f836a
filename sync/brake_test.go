package sync

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func newBrake(ledger *fakeLedger, percent int) *Brake {
	logger, _ := logtest.NewNullLogger()
	return &Brake{Percent: percent, Ledger: ledger, Log: logger}
}

// admitted lets a brake decide on so many names, and counts those that it admits.
func admitted(t *testing.T, b *Brake, first, count, pointers int) int {
	t.Helper()
	total := 0
	for i := range count {
		ok, err := b.admit(t.Context(), keyOf(fmt.Sprintf("web-%d", first+i)), func() int { return pointers })
		if err != nil {
			t.Fatal(err)
		}
		if ok {
			total++
		}
	}
	return total
}

func TestBrakeAllowance(t *testing.T) {
	tests := []struct {
		name                     string
		percent, pointers, asked int
		want                     int
	}{
		{"ten go whatever the percentage is", 50, 10, 10, 10},
		{"ten go also at no percent", 0, 1000, 20, 10},
		{"half of a hundred go, and no more", 50, 100, 100, 50},
		{"all go at a hundred percent", 100, 300, 300, 300},
		{"an allowance that no part divides is used up to the last", 50, 77, 77, 38},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := newBrake(&fakeLedger{}, test.percent)
			if got := admitted(t, b, 0, test.asked, test.pointers); got != test.want {
				t.Errorf("%d of %d were admitted, want %d", got, test.asked, test.want)
			}
			if tripped, held := b.Tripped(); tripped != (test.want < test.asked) || held != test.asked-test.want {
				t.Errorf("tripped: %t, with %d held", tripped, held)
			}
		})
	}
}

// TestForeseenIsWhatIsAdmitted: whatever was withdrawn before, the brake lets so many go as it was foreseen to, and foreseeing
// takes nothing.
func TestForeseenIsWhatIsAdmitted(t *testing.T) {
	for _, pointers := range []int{0, 5, 12, 77, 300} {
		for _, before := range []int{0, 4, 10, 40, 200} {
			t.Run(fmt.Sprintf("%d of %d are gone", before, pointers), func(t *testing.T) {
				ledger := &fakeLedger{}
				admitted(t, newBrake(ledger, 50), 0, before, pointers)
				want, err := newBrake(ledger, 50).foresee(t.Context(), pointers)
				if err != nil {
					t.Fatal(err)
				}
				if got := admitted(t, newBrake(ledger, 50), before, 400, pointers); got != want {
					t.Errorf("%d were admitted, and %d foreseen", got, want)
				}
			})
		}
	}
}

func TestRestartGetsNoOtherAllowance(t *testing.T) {
	ledger := &fakeLedger{}
	total := 0
	for restart := range 20 {
		total += admitted(t, newBrake(ledger, 50), restart*10, 10, 100-total)
	}
	if total > 50 {
		t.Errorf("%d of 100 were withdrawn over 20 restarts", total)
	}
}

func TestTwoDaemonsShareOneAllowance(t *testing.T) {
	ledger := &fakeLedger{}
	one, other := newBrake(ledger, 50), newBrake(ledger, 50)
	total := 0
	for i := range 100 {
		total += admitted(t, one, 2*i, 1, 100) + admitted(t, other, 2*i+1, 1, 100)
	}
	if total > 50 {
		t.Errorf("both together withdrew %d of 100", total)
	}
}

func TestNameThatComesBackCountsOnce(t *testing.T) {
	b := newBrake(&fakeLedger{}, 50)
	for range 50 {
		if got := admitted(t, b, 0, 1, 20); got != 1 {
			t.Fatal("a flapping Service tripped the brake")
		}
	}
}

func TestTrippedBrakeStaysTrippedWhateverTimePasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBrake(&fakeLedger{}, 50)
		admitted(t, b, 0, 20, 20)
		time.Sleep(100 * brakeWindow)
		if got := admitted(t, b, 0, 20, 20); got > 0 {
			t.Errorf("%d were admitted after a long time", got)
		}
	})
}

func TestWindowEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBrake(&fakeLedger{}, 50)
		if got := admitted(t, b, 0, 10, 20); got != 10 {
			t.Fatalf("%d were admitted, want 10", got)
		}
		time.Sleep(brakeWindow + time.Second)
		if got := admitted(t, b, 10, 10, 20); got != 10 {
			t.Errorf("%d were admitted in another window, want 10", got)
		}
	})
}

func TestRestartDoesNotEndTheWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ledger := &fakeLedger{}
		admitted(t, newBrake(ledger, 50), 0, 10, 20)
		// The clock of another host may say anything: a window ends when this daemon has waited for it.
		time.Sleep(10 * brakeWindow)
		restarted := newBrake(ledger, 50)
		if got := admitted(t, restarted, 10, 1, 20); got != 0 {
			t.Errorf("a restarted daemon took the ledger for old")
		}
	})
}

func TestBrakeIsReleased(t *testing.T) {
	t.Run("when the cause is undone", func(t *testing.T) {
		ledger := &fakeLedger{}
		b := newBrake(ledger, 50)
		admitted(t, b, 0, 12, 12)
		for i := range 12 {
			if err := b.release(t.Context(), keyOf(fmt.Sprintf("web-%d", i))); err != nil {
				t.Fatal(err)
			}
		}
		if tripped, _ := b.Tripped(); tripped || ledger.values["tripped"] != "false" {
			t.Errorf("it still holds; the ledger says %v", ledger.values)
		}
	})
	t.Run("not while one name is still held", func(t *testing.T) {
		b := newBrake(&fakeLedger{}, 50)
		admitted(t, b, 0, 12, 12)
		if err := b.release(t.Context(), keyOf("web-11")); err != nil {
			t.Fatal(err)
		}
		if tripped, held := b.Tripped(); !tripped || held != 1 {
			t.Errorf("tripped: %t, with %d held", tripped, held)
		}
	})
	t.Run("when an operator has let all go, and the daemon is told which names it held", func(t *testing.T) {
		ledger := &fakeLedger{}
		b := newBrake(ledger, 50)
		admitted(t, b, 0, 12, 12)
		operator := newBrake(ledger, 50)
		operator.Open = true
		if got := admitted(t, operator, 0, 12, 12); got != 12 {
			t.Fatalf("the operator's run withdrew %d of 12", got)
		}
		if err := operator.passed(t.Context()); err != nil {
			t.Fatal(err)
		}
		freed, err := b.freed(t.Context())
		if err != nil || len(freed) != 2 {
			t.Errorf("freed: %v, %v", freed, err)
		}
	})
	t.Run("not while nobody has let anything go", func(t *testing.T) {
		b := newBrake(&fakeLedger{}, 50)
		admitted(t, b, 0, 12, 12)
		if freed, err := b.freed(t.Context()); err != nil || len(freed) > 0 {
			t.Errorf("freed: %v, %v", freed, err)
		}
	})
	t.Run("when a restarted daemon finds that nothing is to be held", func(t *testing.T) {
		ledger := &fakeLedger{}
		admitted(t, newBrake(ledger, 50), 0, 12, 12)
		restarted := newBrake(ledger, 50)
		if err := restarted.passed(t.Context()); err != nil {
			t.Fatal(err)
		}
		if tripped, _ := restarted.Tripped(); tripped || ledger.values["tripped"] != "false" {
			t.Errorf("it still holds; the ledger says %v", ledger.values)
		}
	})
}

func TestBrakeSaysOnceThatItHolds(t *testing.T) {
	logger, hook := logtest.NewNullLogger()
	b := &Brake{Percent: 50, Ledger: &fakeLedger{}, Log: logger}
	admitted(t, b, 0, 50, 50)
	var loud int
	for _, entry := range hook.AllEntries() {
		if entry.Level == logrus.ErrorLevel {
			loud++
		}
	}
	if loud != 1 {
		t.Errorf("it said so %d times", loud)
	}
}

func TestBrakeWithoutItsLedger(t *testing.T) {
	t.Run("counts by itself where there is no place for it", func(t *testing.T) {
		ledger := &fakeLedger{err: apierrors.NewForbidden(schema.GroupResource{Resource: "configmaps"}, "ledger", errors.New("no right"))}
		if got := admitted(t, newBrake(ledger, 50), 0, 100, 100); got != 50 {
			t.Errorf("%d of 100 were admitted, want 50", got)
		}
	})
	t.Run("lets nothing go while it can't be read", func(t *testing.T) {
		b := newBench(t, sourceOf(exported(), sliceOf("web-1", ready("10.0.0.1"))))
		b.settle(t, web)
		delete(b.source.cached, web)
		b.ledger.err = errors.New("no route to host")
		if verdict, err := b.reconcile(t, web); err == nil {
			t.Errorf("no error, but %s", verdict)
		}
		if diff := cmp.Diff([]string{"live shop/web"}, b.take()); diff != "" {
			t.Errorf("calls (-want +got):\n%s", diff)
		}
	})
}

// TestTrippedBrakeIsFoundByARestart: it stays as it was found until all names have been looked at.
func TestTrippedBrakeIsFoundByARestart(t *testing.T) {
	b := newBench(t)
	admitted(t, newBrake(b.ledger, 50), 0, 12, 12)
	b.mirror.tend(t.Context())
	if b.ledger.values["tripped"] != "true" {
		t.Error("it was released before the first pass")
	}
	b.mirror.enqueueAll()
	b.mirror.tend(t.Context())
	if b.ledger.values["tripped"] != "false" {
		t.Error("it still holds, though there is nothing to hold")
	}
}
