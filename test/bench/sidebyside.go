package main

import (
	"context"
	"errors"
	"os"
	"slices"
	"syscall"
	"time"
)

// slice is how long one contender runs before the other does. A machine that others share may be faster by half a few
// minutes later, which is how long each of them takes. It is well below the time after which xcc thinks that a cluster is
// silent, or that its lease has run out.
const slice = 4 * time.Second

// contender is a client at work on clusters of its own. All are stopped while another runs.
type contender struct {
	sites []*site
	// client is the process; nil before start, if that starts it.
	client process
	// start begins the work, and await returns when it is done.
	start func() (client process, await func() error, err error)

	ended chan error // nil before start
	spent span
}

// process is one that can be stopped.
type process interface {
	Signal(signal os.Signal) error
}

// sideBySide has contenders do their work in small slices of time, one after the other, until all have done it; first is the
// index of the one that begins. It leaves all of them running.
func sideBySide(ctx context.Context, first int, contenders ...*contender) (err error) {
	defer func() {
		for _, c := range contenders {
			err = errors.Join(err, c.resume())
		}
	}()
	for _, c := range contenders {
		if err := c.pause(); err != nil {
			return err
		}
	}
	for left := slices.Concat(contenders[first:], contenders[:first]); len(left) > 0; {
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
	if c.ended == nil {
		client, await, err := c.start()
		if err != nil {
			return false, err
		}
		c.client, c.ended = client, make(chan error, 1)
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

// pause stops the client before what it works on, and resume does the reverse, so that it never waits for an answer.
func (c *contender) pause() error {
	var errs []error
	if c.client != nil {
		errs = append(errs, c.client.Signal(syscall.SIGSTOP))
	}
	for _, site := range c.sites {
		errs = append(errs, site.pause())
	}
	return errors.Join(errs...)
}

func (c *contender) resume() error {
	var errs []error
	for _, site := range c.sites {
		errs = append(errs, site.resume())
	}
	if c.client != nil {
		errs = append(errs, c.client.Signal(syscall.SIGCONT))
	}
	return errors.Join(errs...)
}

func (s *site) pause() error {
	return errors.Join(s.APIServer.Pause(), s.Etcd.Pause())
}

func (s *site) resume() error {
	return errors.Join(s.Etcd.Resume(), s.APIServer.Resume())
}
