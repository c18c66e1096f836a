package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	// pollInterval is how often Eventually looks.
	pollInterval = 10 * time.Millisecond
	// patience is how long Eventually waits when its context has no deadline.
	patience = 30 * time.Second
)

// Eventually waits until condition returns nil, and otherwise fails with the condition's last error when ctx ends. The
// text says what is waited for: "the pointer of shop/cart arrives". Without a deadline in ctx the wait is 30 seconds.
//
// The condition gets a context that ends with the wait.
func Eventually(ctx context.Context, what string, condition func(context.Context) error) error {
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, patience)
		defer cancel()
	}
	started := time.Now()
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	var last error
	for {
		err := condition(ctx)
		if err == nil {
			return nil
		}
		// A condition that was cut off by the end of the wait says nothing new.
		if last == nil || ctx.Err() == nil {
			last = err
		}
		select {
		case <-ctx.Done():
			waited := time.Since(started).Round(time.Millisecond)
			if cause := context.Cause(ctx); !errors.Is(cause, context.DeadlineExceeded) {
				return fmt.Errorf("%s: gave up after %s: %w: %w", what, waited, cause, last)
			}
			return fmt.Errorf("%s: not within %s: %w", what, waited, last)
		case <-ticker.C:
		}
	}
}
