package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// demonstrate shows xcc's main job, step by step. It fails at the first step whose effect does not arrive.
func (s *stage) demonstrate(ctx context.Context) error {
	xcc, err := s.startXCC(ctx, nil)
	if err != nil {
		return err
	}
	alive, lost := context.WithCancelCause(ctx)
	defer lost(nil)
	go func() {
		<-xcc.Exited()
		lost(errors.New("xcc has exited"))
	}()
	if err := s.script(alive); err != nil {
		log := lastLines(xcc.Log(), 20)
		_, stopErr := stopXCC(ctx, xcc)
		if stopErr != nil {
			err = fmt.Errorf("%w; and %w", err, stopErr)
		}
		return fmt.Errorf("%w\nthe end of xcc's log:\n%s", err, log)
	}
	took, err := stopXCC(ctx, xcc)
	if err != nil {
		return err
	}
	s.fact("SIGTERM to xcc: exit code 0 after", milliseconds(took))
	s.line("\n%s", s.paint(green, "all of it as it should be"))
	return nil
}

func (s *stage) script(ctx context.Context) error {
	cart, search := newApp(s.east, "cart"), newApp(s.west, "search")
	s.heading("before the first Service")
	if err := s.showCommand(ctx, "check"); err != nil {
		return err
	}
	s.line("\n%s", s.paint(faint, "after      from the moment before the change until a watch on the other cluster showed all of the pointer\n"+
		"of it xcc  what was left of that when the Service's own cluster showed the change in its EndpointSlices"))
	s.heading("both directions at once")
	s.stepsHeading()
	err := s.together(ctx,
		s.appears(cart, "create cart, labelled, and its 3 pods", func(ctx context.Context) error { return cart.run(ctx, 3, exported()) }),
		s.appears(search, "create search, labelled, and its 3 pods", func(ctx context.Context) error { return search.run(ctx, 3, exported()) }),
	)
	if err != nil {
		return err
	}
	s.heading("every change follows")
	s.stepsHeading()
	for _, step := range s.changes(cart, search) {
		if err := s.show(ctx, step); err != nil {
			return err
		}
	}
	s.heading("what it looks like from outside")
	for _, command := range []string{"status", "diff"} {
		if err := s.showCommand(ctx, command); err != nil {
			return err
		}
	}
	s.heading("nothing echoes")
	if err := s.showNoEcho(ctx, cart, search); err != nil {
		return err
	}
	if err := s.showRest(ctx); err != nil {
		return err
	}
	s.heading("the end")
	s.stepsHeading()
	err = s.together(ctx, s.vanishes(cart, "delete cart", cart.delete), s.vanishes(search, "delete search", search.delete))
	if err != nil {
		return err
	}
	if err := s.showNothingLeft(ctx); err != nil {
		return err
	}
	return s.showWrites()
}

// changes are what happens to Services in a day.
func (s *stage) changes(cart, search *app) []step {
	scale := func(a *app, pods int) func(context.Context) error {
		return func(ctx context.Context) error { return a.scale(ctx, pods) }
	}
	return []step{
		s.appears(cart, "scale cart from 3 pods to 6", scale(cart, 6)),
		s.appears(search, "scale search from 3 pods to 0", scale(search, 0)),
		s.appears(search, "scale search from 0 pods to 2", scale(search, 2)),
		s.appears(cart, "a pod of cart fails its readiness probe", func(ctx context.Context) error { return cart.setReady(ctx, false) }),
		s.appears(cart, "the pod passes it again", func(ctx context.Context) error { return cart.setReady(ctx, true) }),
		s.appears(cart, "change cart's port from 80 to 8000", func(ctx context.Context) error { return cart.setPorts(ctx, tcp("http", 8000, 8080)) }),
		s.appears(search, "add a port to search", func(ctx context.Context) error {
			return search.setPorts(ctx, tcp("http", 80, 8080), tcp("metrics", 9100, 9100))
		}),
		s.comesBack(cart, "somebody deletes cart's pointer"),
		s.vanishes(search, "take the label off search", func(ctx context.Context) error { return search.setExported(ctx, false) }),
		s.appears(search, "label search again", func(ctx context.Context) error { return search.setExported(ctx, true) }),
	}
}

// step is one thing that is done, and what is to come of it.
type step struct {
	in      *side // where it is done
	what    string
	do      func(ctx context.Context) error
	source  *side         // where the Service is
	here    func() error  // what is missing there
	there   func() error  // what is missing in the other cluster
	arrived func() string // what the other cluster has then
}

// times are counted from the moment before the step was done. What is left of the second when the first is taken away is
// xcc's own part.
type times struct {
	native  time.Duration // until the Service's own cluster showed it, in the EndpointSlices that Kubernetes makes
	pointer time.Duration // until the other cluster showed all of it: Service, EndpointSlices and Endpoints
}

func (t times) own() time.Duration {
	return max(0, t.pointer-t.native)
}

// appears is a step that leads to a pointer with the Service's present shape.
func (s *stage) appears(a *app, what string, do func(ctx context.Context) error) step {
	return step{
		in: a.home, what: what, do: do, source: a.home,
		here:    func() error { return a.home.window.showsExported(a.name, a.wants()) },
		there:   func() error { return s.other(a.home).window.showsPointer(a.name, a.wants(), a.origin(), "") },
		arrived: func() string { return a.wants().String() },
	}
}

// vanishes is a step that leads to no pointer.
func (s *stage) vanishes(a *app, what string, do func(ctx context.Context) error) step {
	return step{
		in: a.home, what: what, do: do, source: a.home,
		here:    func() error { return a.home.window.showsNoExport(a.name) },
		there:   func() error { return s.other(a.home).window.showsNothing(a.name) },
		arrived: func() string { return "pointer gone" },
	}
}

// comesBack is a step in which somebody deletes the pointer's Service.
func (s *stage) comesBack(a *app, what string) step {
	other, deleted := s.other(a.home), ""
	back := s.appears(a, what, func(ctx context.Context) error {
		pointer, err := other.Clientset().CoreV1().Services(namespace).Get(ctx, a.name, metav1.GetOptions{})
		if err != nil {
			return fmt.Errorf("cluster %s: %w", other.Name, err)
		}
		deleted = string(pointer.UID)
		return deleteService(ctx, other, a.name)
	})
	back.in = other
	back.there = func() error { return other.window.showsPointer(a.name, a.wants(), a.origin(), deleted) }
	back.arrived = func() string { return "back: " + a.wants().String() }
	return back
}

// show does a step and prints its line when all has arrived.
func (s *stage) show(ctx context.Context, step step) error {
	took, err := s.take(ctx, step)
	if err != nil {
		return err
	}
	s.step(step.in.Name, step.what, step.arrived(), took)
	return nil
}

// together does steps at the same time and prints their lines in order.
func (s *stage) together(ctx context.Context, steps ...step) error {
	took := make([]times, len(steps))
	var group errgroup.Group
	for i, step := range steps {
		group.Go(func() (err error) {
			took[i], err = s.take(ctx, step)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for i, step := range steps {
		s.step(step.in.Name, step.what, step.arrived(), took[i])
	}
	return nil
}

// take does a step and waits for its effect in both clusters.
func (s *stage) take(ctx context.Context, step step) (times, error) {
	started := time.Now()
	if err := step.do(ctx); err != nil {
		return times{}, fmt.Errorf("%s: %w", step.what, err)
	}
	var took times
	watch := func(at *side, missing func() error, took *time.Duration) func() error {
		return func() error {
			seen, err := at.window.await(ctx, missing)
			if err != nil {
				return fmt.Errorf("%s: in %s: %w", step.what, at.Name, err)
			}
			*took = seen.Sub(started)
			return nil
		}
	}
	var group errgroup.Group
	group.Go(watch(step.source, step.here, &took.native))
	group.Go(watch(s.other(step.source), step.there, &took.pointer))
	return took, group.Wait()
}
