package sync

import (
	"errors"
	"fmt"
	"strings"
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

// TestWindowsThatFollowEachOther: the withdrawals of no ten minutes are more than may be, wherever a window ends.
func TestWindowsThatFollowEachOther(t *testing.T) {
	for name, test := range map[string]struct {
		first, late int // withdrawn when the window begins, and a minute before it ends
		lateFrom    int // number of the first that is late
		want        int // of 400 others, when it has just ended
	}{
		"what went early counts no more":                     {200, 0, 0, 200},
		"what went once more late counts":                    {200, 200, 0, 0},
		"what was reserved early and went late counts":       {1, 9, 1, 191},
		"what was reserved and not used is reserved no more": {1, 0, 0, 200},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBrake(&fakeLedger{}, 50)
				for _, step := range []struct {
					from, count int
					then        time.Duration
				}{{0, test.first, brakeWindow - time.Minute}, {test.lateFrom, test.late, time.Minute + time.Second}} {
					if got := admitted(t, b, step.from, step.count, 400); got != step.count {
						t.Fatalf("%d of %d were admitted", got, step.count)
					}
					time.Sleep(step.then)
				}
				if got := admitted(t, b, 1000, 400, 400); got != test.want {
					t.Errorf("%d were admitted, want %d", got, test.want)
				}
			})
		})
	}
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
	scoped := func(ledger *fakeLedger, scope string) *Brake {
		b := newBrake(ledger, 50)
		b.Scope = scope
		return b
	}
	tests := []struct {
		name            string
		tripped, looked string // the scopes of who has tripped it, and of who looks at it later
		held, comeBack  int
		want            bool
	}{
		{"when the cause is undone", "", "", 2, 2, true},
		{"not while one name is still held", "", "", 2, 1, false},
		{"when a restarted daemon finds that nothing is to be held", "", "", 0, 0, true},
		{"not by who looks at other namespaces", "", "only till", 0, 0, false},
		{"not by who looks at other namespaces than the daemon, either", "only shop", "only till", 0, 0, false},
		{"not by who has found some of its own to be held, and come back", "only shop", "only till", 2, 2, false},
		{"by who looks at the same namespaces", "only shop", "only shop", 0, 0, true},
		{"by who looks at all", "only shop", "", 0, 0, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			ledger := &fakeLedger{}
			admitted(t, scoped(ledger, test.tripped), 0, 12, 12)
			b := scoped(ledger, test.looked)
			admitted(t, b, 10, test.held, 12)
			for i := range test.comeBack {
				b.release(keyOf(fmt.Sprintf("web-%d", 10+i)))
			}
			if err := b.settle(t.Context()); err != nil {
				t.Fatal(err)
			}
			if tripped, _ := b.Tripped(); tripped == test.want || ledger.values["tripped"] != fmt.Sprint(!test.want) {
				t.Errorf("it holds: %t; the ledger says %v", tripped, ledger.values)
			}
		})
	}
}

func TestUndoneCauseIsNoOtherAllowance(t *testing.T) {
	// Twenty of forty have gone, and the one that was held has come back.
	undone := func(t *testing.T) (*fakeLedger, *Brake) {
		t.Helper()
		ledger := &fakeLedger{}
		b := newBrake(ledger, 50)
		if got := admitted(t, b, 0, 21, 40); got != 20 {
			t.Fatalf("%d were admitted, want 20", got)
		}
		b.release(keyOf("web-20"))
		if err := b.settle(t.Context()); err != nil || ledger.values["tripped"] != "false" {
			t.Fatalf("%v; the ledger says %v", err, ledger.values)
		}
		return ledger, b
	}
	t.Run("others are held", func(t *testing.T) {
		_, b := undone(t)
		if got := admitted(t, b, 20, 20, 40); got > 0 {
			t.Errorf("%d more were admitted", got)
		}
	})
	t.Run("also by a second daemon, and one that was restarted", func(t *testing.T) {
		ledger, _ := undone(t)
		if got := admitted(t, newBrake(ledger, 50), 20, 20, 40); got > 0 {
			t.Errorf("%d more were admitted", got)
		}
	})
	t.Run("also by one that had held others of its own", func(t *testing.T) {
		ledger := &fakeLedger{}
		one, other := newBrake(ledger, 50), newBrake(ledger, 50)
		admitted(t, one, 0, 21, 40)
		admitted(t, other, 30, 2, 40)
		one.release(keyOf("web-20"))
		if err := one.settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		if freed, err := other.freed(t.Context()); err != nil || len(freed) != 2 {
			t.Fatalf("freed: %v, %v", freed, err)
		}
		if got := admitted(t, other, 30, 2, 40); got > 0 {
			t.Errorf("%d more were admitted", got)
		}
		if tripped, held := other.Tripped(); !tripped || held != 2 {
			t.Errorf("tripped: %t, with %d held", tripped, held)
		}
	})
	t.Run("those that were counted may go again", func(t *testing.T) {
		_, b := undone(t)
		if got := admitted(t, b, 0, 20, 40); got != 20 {
			t.Errorf("%d were admitted, want 20", got)
		}
	})
	t.Run("when the window is over there is another", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			_, b := undone(t)
			time.Sleep(brakeWindow + time.Second)
			if got := admitted(t, b, 20, 20, 40); got != 20 {
				t.Errorf("%d were admitted, want 20", got)
			}
		})
	})
	t.Run("an operator begins a new count, also where the brake was released before", func(t *testing.T) {
		ledger, b := undone(t)
		operator := newBrake(ledger, 50)
		operator.Open = true
		if err := operator.settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := admitted(t, b, 20, 20, 40); got != 20 {
			t.Errorf("%d were admitted, want 20", got)
		}
	})
}

func TestBrakeIsReleasedAlsoWhereTheLedgerFailsAtFirst(t *testing.T) {
	ledger := &fakeLedger{}
	b := newBrake(ledger, 50)
	admitted(t, b, 0, 12, 12)
	b.release(keyOf("web-10"))
	b.release(keyOf("web-11"))
	ledger.err = errors.New("the target is away")
	if err := b.settle(t.Context()); err == nil {
		t.Error("no error")
	}
	ledger.err = nil
	if err := b.settle(t.Context()); err != nil || ledger.values["tripped"] != "false" {
		t.Errorf("%v; the ledger says %v", err, ledger.values)
	}
}

func TestOperatorResetsALedgerThatTheDaemonReleasesAtTheSameTime(t *testing.T) {
	ledger := &fakeLedger{}
	admitted(t, newBrake(ledger, 50), 0, 12, 12)
	ledger.meets = func() {
		ledger.values, ledger.version = brakeState{pointers: 12, withdrawn: 10}.values(), ledger.version+1
	}
	operator := newBrake(ledger, 50)
	operator.Open = true
	if err := operator.settle(t.Context()); err != nil || ledger.values["withdrawn"] != "0" {
		t.Errorf("%v; the ledger says %v", err, ledger.values)
	}
}

// TestReleaseByAnOperatorIsToldOnce: also where what was held is gone before the daemon learns of it.
func TestReleaseByAnOperatorIsToldOnce(t *testing.T) {
	ledger := &fakeLedger{}
	b := newBrake(ledger, 50)
	logger, hook := logtest.NewNullLogger()
	b.Log = logger
	admitted(t, b, 0, 11, 11)
	operator := newBrake(ledger, 50)
	operator.Open = true
	if err := operator.settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	hook.Reset()
	b.release(keyOf("web-10"))
	for range 2 {
		if err := b.settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		if keys, err := b.freed(t.Context()); err != nil || len(keys) > 0 {
			t.Errorf("freed are %v, %v", keys, err)
		}
	}
	if len(hook.Entries) != 1 || hook.LastEntry().Message != "the delete brake is released" {
		t.Errorf("logged is %v", hook.Entries)
	}
}

func TestOperatorReleasesTheBrake(t *testing.T) {
	ledger := &fakeLedger{}
	b := newBrake(ledger, 50)
	admitted(t, b, 0, 12, 12)
	operator := newBrake(ledger, 50)
	operator.Open = true
	if got := admitted(t, operator, 0, 12, 12); got != 12 {
		t.Fatalf("the operator's run withdrew %d of 12", got)
	}
	elsewhere := &Brake{Open: true, Scope: "only till", Ledger: ledger, Log: b.Log}
	if err := elsewhere.settle(t.Context()); err == nil || !strings.Contains(err.Error(), "all namespaces") {
		t.Errorf("a run that looks at other namespaces: %v", err)
	}
	if freed, err := b.freed(t.Context()); err != nil || len(freed) > 0 {
		t.Errorf("freed by that: %v, %v", freed, err)
	}
	if err := operator.settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	freed, err := b.freed(t.Context())
	if err != nil || len(freed) != 2 {
		t.Errorf("freed: %v, %v", freed, err)
	}
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
		b := newBrake(ledger, 50)
		if got := admitted(t, b, 0, 100, 100); got != 50 {
			t.Errorf("%d of 100 were admitted, want 50", got)
		}
		if freed, err := b.freed(t.Context()); err != nil || len(freed) > 0 {
			t.Errorf("freed by nobody: %d, %v", len(freed), err)
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
