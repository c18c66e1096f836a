package model

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	gocmp "github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"
)

// EnumerateOptions say how much of the enumeration to run.
type EnumerateOptions struct {
	// WriteStride and ReadStride are 1 to kill before and after every write and every read, n for every nth.
	WriteStride, ReadStride int
	// LagStride and NetStride are the same for the plans of those kinds.
	LagStride, NetStride int
	// AtATime is how many plans run at a time.
	AtATime int
}

// Everything is the whole enumeration; Default what fits into a few minutes: a kill before and after every write, and a
// part of the rest.
var (
	Everything = EnumerateOptions{WriteStride: 1, ReadStride: 1, LagStride: 1, NetStride: 1, AtATime: 4}
	Default    = EnumerateOptions{WriteStride: 1, ReadStride: 8, LagStride: 6, NetStride: 6, AtATime: 4}
)

// EnumerateReport says how it went, for each kind of plan.
type EnumerateReport struct {
	Calls      int // that the reference run has made
	Kinds      []string
	Enumerated map[string]int // how many plans there are
	Run        map[string]int // how many of them were run
	Missed     map[string]int // of those, how many ended without meeting their call: nothing was done to them
	Failed     map[string]int
	// Writes and Destructions were judged.
	Writes, Destructions int

	mu sync.Mutex
}

// The kinds of plan.
const (
	killPlans = "(a) kill -9 just before or after a call"
	lagPlans  = "(b) a restart against a lagging API server"
	netPlans  = "(c) only the net effect of what follows a call"
)

func (r *EnumerateReport) String() string {
	var text strings.Builder
	plans, run, failed := 0, 0, 0
	for _, kind := range r.Kinds {
		fmt.Fprintf(&text, "  %s: %d plans, %d run, %d passed, %d of those without meeting their call\n", kind,
			r.Enumerated[kind], r.Run[kind], r.Run[kind]-r.Failed[kind], r.Missed[kind])
		plans, run, failed = plans+r.Enumerated[kind], run+r.Run[kind], failed+r.Failed[kind]
	}
	return fmt.Sprintf("%d calls of xcc, %d plans enumerated, %d run, %d passed\n%s%d writes judged, %d of which took something away",
		r.Calls, plans, run, run-failed, text.String(), r.Writes, r.Destructions)
}

// Plans is how many plans were run, and Met how many of them met their call.
func (r *EnumerateReport) Plans() (run, met int) {
	for _, kind := range r.Kinds {
		run += r.Run[kind]
		met += r.Run[kind] - r.Missed[kind]
	}
	return run, met
}

func (r *EnumerateReport) count(counts map[string]int, kind string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	counts[kind]++
}

// plan is one run of the scenario with one fault in it.
type plan struct {
	kind string
	text string
	// run plays the whole scenario, and reports whether it came to the fault.
	run func(ctx context.Context, t *trial) (met bool, err error)
}

// Enumerate makes the plans of a scenario and runs them. An error says which of them failed.
func (p *Pair) Enumerate(ctx context.Context, options EnumerateOptions) (*EnumerateReport, error) {
	began, err := p.mark()
	if err != nil {
		return nil, err
	}
	calls, final, err := p.reference(ctx)
	if err != nil {
		return nil, fmt.Errorf("the reference run: %w", err)
	}
	report := &EnumerateReport{
		Calls: len(calls), Kinds: []string{killPlans, netPlans, lagPlans},
		Enumerated: map[string]int{}, Run: map[string]int{}, Missed: map[string]int{}, Failed: map[string]int{},
	}
	var plans []plan
	reads, writes := 0, 0
	for i, call := range calls {
		number, stride := &reads, options.ReadStride
		if call.isWrite() {
			number, stride = &writes, options.WriteStride
		}
		for _, after := range []bool{false, true} {
			report.Enumerated[killPlans]++
			if *number%stride == 0 {
				plans = append(plans, killPlan(call, after))
			}
		}
		*number++
		report.Enumerated[netPlans]++
		if i%options.NetStride == 0 {
			plans = append(plans, netPlan(call))
		}
	}
	fmt.Fprintf(p.log, "%d calls of xcc in the scenario, %d of them writes; %d plans with kills and net effects are to be run\n", len(calls), writes, len(plans))
	err = p.runPlans(ctx, plans, final, options.AtATime, report)
	err = errors.Join(err, p.lag(ctx, calls, final, options, report))
	return report, errors.Join(err, p.judgePlans(ctx, began, report))
}

func (p *Pair) runPlans(ctx context.Context, plans []plan, final string, atATime int, report *EnumerateReport) error {
	var mu sync.Mutex
	var errs []error
	var group errgroup.Group
	group.SetLimit(atATime)
	for _, plan := range plans {
		group.Go(func() error {
			if err := p.runPlan(ctx, plan, final, report); err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, err)
			}
			return nil
		})
	}
	_ = group.Wait() // the errors are collected
	return errors.Join(errs...)
}

func (p *Pair) runPlan(ctx context.Context, plan plan, final string, report *EnumerateReport) (err error) {
	t, err := p.newTrial(ctx)
	if err != nil {
		return err
	}
	met, err := plan.run(ctx, t)
	if err == nil {
		err = t.isFinal(ctx, final)
	}
	return report.close(ctx, t, plan, met, err)
}

// isFinal compares what stands in the end with what the reference run has left.
func (t *trial) isFinal(ctx context.Context, want string) error {
	got, err := t.final(ctx)
	if err != nil {
		return err
	}
	if difference := gocmp.Diff(strings.Split(want, "\n"), strings.Split(got, "\n")); difference != "" {
		return fmt.Errorf("it ends in another state than without the fault (-want +got):\n%s", difference)
	}
	return nil
}

// close ends a trial, and counts it.
func (r *EnumerateReport) close(ctx context.Context, t *trial, plan plan, met bool, err error) error {
	log := t.xcc.log()
	err = errors.Join(err, t.end(ctx))
	r.count(r.Run, plan.kind)
	if !met {
		r.count(r.Missed, plan.kind)
	}
	if err == nil {
		return nil
	}
	r.count(r.Failed, plan.kind)
	return fmt.Errorf("%s, %s: %w\nxcc's log: %s", plan.kind, plan.text, err, keepLog("xcc-model-"+t.namespace+".log", log))
}

// killPlan kills xcc at a call; it starts again at once.
func killPlan(call recordedCall, after bool) plan {
	when := map[bool]string{false: "before", true: "after"}[after]
	return plan{kind: killPlans, text: fmt.Sprintf("%s %s, in %q", when, call, scenario[call.step].name), run: func(ctx context.Context, t *trial) (bool, error) {
		armed := t.arm(call.callID, after, false)
		armed.load()
		if err := t.xcc.start(); err != nil {
			return false, err
		}
		err := t.play(ctx, scenario)
		return armed.unload(), err
	}}
}

// unseen is how many steps happen while xcc is down.
const unseen = 2

// netPlan kills xcc after a call and lets the next steps happen unseen.
func netPlan(call recordedCall) plan {
	return plan{kind: netPlans, text: fmt.Sprintf("after %s, in %q", call, scenario[call.step].name), run: func(ctx context.Context, t *trial) (bool, error) {
		armed := t.arm(call.callID, true, true)
		if err := t.xcc.start(); err != nil {
			return false, err
		}
		if err := t.play(ctx, scenario[:call.step]); err != nil {
			return false, err
		}
		met, err := t.playUntil(ctx, scenario[call.step], armed)
		if err != nil {
			return met, err
		}
		t.xcc.kill(true)
		rest := scenario[call.step+1:]
		down := min(unseen, len(rest))
		for _, step := range rest[:down] {
			if err := t.act(ctx, step, t.namespace); err != nil {
				return met, err
			}
		}
		if err := t.xcc.start(); err != nil {
			return met, err
		}
		if err := t.converged(ctx); err != nil {
			return met, fmt.Errorf("after the steps that it has not seen: %w", err)
		}
		return met, t.play(ctx, rest[down:])
	}}
}

// judgePlans asks the checker about every write of all plans.
func (p *Pair) judgePlans(ctx context.Context, began marks, report *EnumerateReport) error {
	world, err := p.world(ctx, began)
	if err != nil {
		return err
	}
	world.MaxDeletePercent = 50
	world.Group = func(namespace string) string { return namespace }
	world.KeepsCount = func(namespace string) bool { return strings.HasPrefix(namespace, "plan-") }
	judged := world.Writes()
	report.Writes, report.Destructions = judged.Writes, judged.Destructions
	if len(judged.Unjudged) > 0 {
		return fmt.Errorf("the witnesses do not tell enough about %d writes: %s", len(judged.Unjudged), strings.Join(judged.Unjudged, "\n"))
	}
	return violated(judged.Violations)
}
