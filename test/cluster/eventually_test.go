package cluster_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"xcc/test/cluster"
)

func TestEventually(t *testing.T) {
	errNotYet := errors.New("not yet")

	t.Run("returns as soon as the condition holds", func(t *testing.T) {
		tries := 0
		err := cluster.Eventually(t.Context(), "the third try", func(context.Context) error {
			if tries++; tries < 3 {
				return errNotYet
			}
			return nil
		})
		if err != nil || tries != 3 {
			t.Errorf("error %v after %d tries", err, tries)
		}
	})
	t.Run("fails with the condition's last error when the time is up", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		err := cluster.Eventually(ctx, "never", func(context.Context) error { return errNotYet })
		if !errors.Is(err, errNotYet) {
			t.Errorf("error %v", err)
		}
	})
	t.Run("keeps the last error that is not the end of the wait", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		first := true
		err := cluster.Eventually(ctx, "never", func(ctx context.Context) error {
			if first {
				first = false
				return errNotYet
			}
			<-ctx.Done()
			return ctx.Err()
		})
		if !errors.Is(err, errNotYet) {
			t.Errorf("error %v", err)
		}
	})
	t.Run("names why the wait was broken off", func(t *testing.T) {
		errExited := errors.New("it exited")
		ctx, cancel := context.WithCancelCause(t.Context())
		err := cluster.Eventually(ctx, "never", func(context.Context) error {
			cancel(errExited)
			return errNotYet
		})
		if !errors.Is(err, errExited) || !errors.Is(err, errNotYet) {
			t.Errorf("error %v", err)
		}
	})
}
