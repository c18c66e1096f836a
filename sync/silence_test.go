package sync

import (
	"errors"
	"testing"
	"time"
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
