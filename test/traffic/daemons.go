//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"xcc/test/daemon"
)

// startXCC starts one more daemon. It lives until it is stopped, whatever becomes of the context.
func (s *stage) startXCC(ctx context.Context) error {
	d, err := daemon.Start(context.WithoutCancel(ctx), daemon.Options{Binary: s.binary, Arguments: append([]string{
		"sync", "--kubeconfig", s.kubeconfig, "--context-a", s.east.Name, "--context-b", s.west.Name, "--listen=",
	}, s.flags...)})
	if err != nil {
		return err
	}
	s.daemons = append(s.daemons, d)
	return nil
}

// standBy starts one more daemon, and returns when it knows who has the Lease.
func standBy(ctx context.Context, s *stage) error {
	if err := s.startXCC(ctx); err != nil {
		return err
	}
	standby := s.daemons[len(s.daemons)-1]
	return eventually(ctx, "a daemon stands by", func(context.Context) error {
		if !strings.Contains(standby.Log(), "the Lease has a holder") {
			return errors.New("it has not seen who has the Lease")
		}
		return nil
	})
}

// stopXCC ends all daemons, in the order of their start, as systemd does.
func (s *stage) stopXCC(ctx context.Context) error {
	var errs []error
	for len(s.daemons) > 0 {
		errs = append(errs, s.stopFirst(ctx))
	}
	return errors.Join(errs...)
}

func (s *stage) stopFirst(ctx context.Context) error {
	d := s.daemons[0]
	s.daemons = s.daemons[1:]
	code, err := d.Terminate(ctx)
	if err == nil && code != 0 {
		err = fmt.Errorf("xcc exited with %d:\n%s", code, d.Log())
	}
	return err
}

func (s *stage) kill() error {
	d := s.daemons[0]
	s.daemons = s.daemons[1:]
	return d.Kill()
}

// log is what all daemons have written that still run.
func (s *stage) log() string {
	var text strings.Builder
	for _, d := range s.daemons {
		text.WriteString(d.Log())
	}
	return text.String()
}

// replaceBinary puts another file in the place of xcc's binary, as the upgrade of a package does.
func (s *stage) replaceBinary() error {
	content, err := os.ReadFile(s.xcc)
	if err != nil {
		return err
	}
	if err := os.WriteFile(s.binary+".next", content, 0o700); err != nil {
		return err
	}
	return os.Rename(s.binary+".next", s.binary)
}
