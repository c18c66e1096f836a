package main

import (
	"context"
	"errors"
	"os"
	"syscall"
	"time"
)

// slice is how long one contender runs before the other does. A machine that others share may be faster by half a few
// minutes later, which is how long each of them takes. It is well below the time after which xcc thinks that a cluster is
// silent, or that its lease has run out.
const slice = 4 * time.Second

// contender is a client at work on a target of its own. Both are stopped while another runs.
type contender struct {
	target *site
	// start begins the work, and await returns when it is done.
	start func() (client process, await func() error, err error)

	client process
	ended  chan error
	spent  span
}

// process is one that can be stopped.
type process interface {
	Signal(signal os.Signal) error
}

// sideBySide has contenders do their work in small slices of time, one after the other, until all have done it. It leaves
// all of them running.
func sideBySide(ctx context.Context, contenders ...*contender) (err error) {
	defer func() {
		for _, c := range contenders {
			err = errors.Join(err, c.resume())
		}
	}()
	for _, c := range contenders {
		c.ended = make(chan error, 1)
		if err := c.target.pause(); err != nil {
			return err
		}
	}
	for left := contenders; len(left) > 0; {
		done, err := left[0].run(ctx)
		if err != nil {
			return err
		}
		if done {
			left = left[1:]
		} else {
			left = append(left[1:], left[0])
		}
	}
	return nil
}

// run lets a contender run for a slice, or until it is done.
func (c *contender) run(ctx context.Context) (done bool, err error) {
	if err := c.resume(); err != nil {
		return false, err
	}
	began, demand := time.Now(), demandOfMachine()
	if c.client == nil {
		client, await, err := c.start()
		if err != nil {
			return false, err
		}
		c.client = client
		go func() { c.ended <- await() }()
	}
	timer := time.NewTimer(slice)
	defer timer.Stop()
	select {
	case err := <-c.ended:
		if err != nil {
			return false, err
		}
		done = true
	case <-timer.C:
	case <-ctx.Done():
		return false, ctx.Err()
	}
	c.spent.add(time.Since(began), demand)
	return done, c.pause()
}

func (c *contender) pause() error {
	return errors.Join(c.client.Signal(syscall.SIGSTOP), c.target.pause())
}

func (c *contender) resume() error {
	if err := c.target.resume(); err != nil || c.client == nil {
		return err
	}
	return c.client.Signal(syscall.SIGCONT)
}

func (s *site) pause() error {
	return errors.Join(s.APIServer.Pause(), s.Etcd.Pause())
}

func (s *site) resume() error {
	return errors.Join(s.Etcd.Resume(), s.APIServer.Resume())
}
