package sync

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
)

func TestSilentSource(t *testing.T) {
	source := sourceOf(exported(), sliceOf("web-0", ready("10.0.0.1")))
	tests := []struct {
		name          string
		withdrawAfter time.Duration
		silence       time.Duration
		want          int // ready addresses
	}{
		{"is kept as long as nobody said otherwise", 0, time.Hour, 1},
		{"is kept as long as it has not been silent for long", time.Minute, time.Second, 1},
		{"loses its addresses, and keeps its Service, after that", time.Minute, time.Hour, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(t, source)
			if _, err := b.mirror.reconcile(t.Context(), web); err != nil {
				t.Fatal(err)
			}
			b.mirror.WithdrawAfter, b.mirror.Heartbeat = test.withdrawAfter, silence(test.silence)
			b.source.verifyErr = errors.New("no route to host")
			b.mirror.tend(t.Context())
			// Without a proof of identity nothing is done, unless an operator asked for it.
			_, err := b.mirror.reconcile(t.Context(), web)
			if (err == nil) != (test.want == 0) {
				t.Errorf("reconcile: %v", err)
			}
			copies, err := b.target.Copies(web)
			if err != nil {
				t.Fatal(err)
			}
			rules := b.mirror.Rules
			rules.Cluster = blue
			if got := rules.ready(KindEndpointSlice, copies); got != test.want {
				t.Errorf("%d ready addresses, want %d", got, test.want)
			}
			if rules.liveService(copies) == nil {
				t.Error("the Service is gone")
			}
		})
	}
}

// TestSilentSourceKeepsItsServices: what a plan would delete or make anew on the word of a cache stands, without addresses,
// until the source can be asked.
func TestSilentSourceKeepsItsServices(t *testing.T) {
	tests := []struct {
		name string
		// before is what the watches told last, or what was so, when the source fell silent.
		before func(b *bench)
		held   int
		// first is the first call when it answers again.
		first string
	}{
		{"one that is headless now", func(b *bench) {
			b.source.cached[web] = sourceOf(exported(headless), sliceOf("web-0", ready("10.0.0.1")))
		}, 0, "live shop/web"},
		{"one that has another IP family first", func(b *bench) {
			b.source.cached[web] = sourceOf(exported(families(corev1.IPv6Protocol)), sliceOf6("web-0", ready("fd00::1")))
		}, 0, "live shop/web"},
		{"one that is gone", func(b *bench) { b.source.cached = map[Key]Source{} }, 0, "live shop/web"},
		{"one that is gone, and that the delete brake holds", func(b *bench) {
			b.source.cached = map[Key]Source{}
			b.ledger.values = brakeState{tripped: true}.values()
			b.settle(t, web)
		}, 1, "live shop/web"},
		{"one of which Kubernetes has lost the EndpointSlices", func(b *bench) {
			b.source.cached[web] = sourceOf(exported())
		}, 0, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(t, sourceOf(exported(), sliceOf("web-0", ready("10.0.0.1"))))
			b.settle(t, web)
			names := endpointNames(t, b)
			test.before(b)
			b.mirror.WithdrawAfter, b.mirror.Heartbeat = time.Minute, silence(time.Hour)
			b.source.verifyErr, b.source.liveErr = errors.New("no route to host"), errors.New("no route to host")
			b.mirror.tend(t.Context())
			for _, want := range [][]string{names, nil} {
				verdict, err := b.reconcile(t, web)
				if verdict.Reason != SourceUnproven || err != nil {
					t.Errorf("%s, %v", verdict, err)
				}
				if diff := cmp.Diff(want, b.take()); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			}
			if tripped, held := b.mirror.Brake.Tripped(); held != test.held || tripped != (test.held > 0) {
				t.Errorf("the brake holds %d names: %t", held, tripped)
			}
			b.mirror.Heartbeat, b.source.verifyErr, b.source.liveErr = silence(0), nil, nil
			b.mirror.tend(t.Context())
			if verdict, err := b.reconcile(t, web); err != nil {
				t.Errorf("%s, %v", verdict, err)
			}
			if calls := append(b.take(), ""); calls[0] != test.first {
				t.Errorf("when it answers again, it does %q", calls)
			}
		})
	}
}

func TestNothingIsWrittenWithoutTheLease(t *testing.T) {
	b := newBench(t, sourceOf(exported(), sliceOf("web-0", ready("10.0.0.1"))))
	b.mirror.MayWrite = func() error { return errors.New("the Lease has run out") }
	if _, err := b.mirror.reconcile(t.Context(), web); err == nil {
		t.Error("it went on")
	}
	if copies, _ := b.target.Copies(web); len(copies) > 0 {
		t.Errorf("it wrote %v", copies)
	}
}
