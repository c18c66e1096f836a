package model

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"xcc/test/cluster"
	"xcc/test/invariant"
	"xcc/test/proxy"
)

// callID names a call of xcc in the scenario in a way that holds in another run of it: by what it asks for, and how often
// it has asked for that before. Numbers would not do: workers have no order.
type callID struct {
	side           int
	verb, resource string
	name           string
	nth            int
}

func (c callID) String() string {
	return fmt.Sprintf("%s %s %s (%d) in %c", c.verb, c.resource, c.name, c.nth, 'A'+rune(c.side))
}

func (c callID) isWrite() bool {
	return c.verb == "create" || c.verb == "update" || c.verb == "delete"
}

// recordedCall is one that the reference run has made, and the step in which.
type recordedCall struct {
	callID
	step int
}

// trial is one run of the scenario, in a namespace of its own.
type trial struct {
	*Pair
	namespace string
	xcc       *xcc
}

var lastTrial atomic.Int64

// newTrial makes the namespace, and an installation that looks at nothing else.
func (p *Pair) newTrial(ctx context.Context) (*trial, error) {
	t := &trial{Pair: p, namespace: fmt.Sprintf("plan-%d", lastTrial.Add(1))}
	if err := p.createNamespaces(ctx, t.namespace); err != nil {
		return nil, err
	}
	var err error
	if t.xcc, err = p.install(ctx, "--namespace", t.namespace, "--lease-namespace", t.namespace); err != nil {
		return nil, err
	}
	t.xcc.binary = p.plain
	return t, nil
}

func (t *trial) end(ctx context.Context) error {
	return errors.Join(t.xcc.remove(ctx), t.dropNamespaces(ctx, t.namespace))
}

// converged waits until both clusters are as they should be.
func (t *trial) converged(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	return cluster.Eventually(ctx, t.namespace+" is as it should be", t.resting(t.namespace))
}

// play does steps of the scenario, each when the one before has arrived.
func (t *trial) play(ctx context.Context, steps []scenarioStep) error {
	for _, step := range steps {
		if err := t.act(ctx, step, t.namespace); err != nil {
			return err
		}
		if err := t.converged(ctx); err != nil {
			return fmt.Errorf("after %q: %w", step.name, err)
		}
	}
	return nil
}

// counter gives the calls of one run their names.
type counter struct {
	namespace string
	mu        sync.Mutex
	seen      map[callID]int
}

func newCounter(namespace string) *counter {
	return &counter{namespace: namespace, seen: map[callID]int{}}
}

// id names a call; ok is false where it is none about the scenario.
func (c *counter) id(side int, call proxy.Call) (id callID, ok bool) {
	// How often the drains are read is up to the clock.
	if call.Namespace != c.namespace || call.Verb == "watch" || call.Name == "xcc-drain" {
		return id, false
	}
	id = callID{side: side, verb: call.Verb, resource: call.Resource, name: call.Name}
	switch {
	case call.Resource == "configmaps":
		id.name = "xcc-brake"
	case call.Resource == "endpointslices" && len(call.Name) > 17:
		id.name = call.Name[:len(call.Name)-17]
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen[id]++
	id.nth = c.seen[id]
	return id, true
}

// reference runs the scenario without a fault. It gives xcc's calls, and what stands in the end.
func (p *Pair) reference(ctx context.Context) (calls []recordedCall, final string, err error) {
	t, err := p.newTrial(ctx)
	if err != nil {
		return nil, "", err
	}
	defer func() { err = errors.Join(err, t.end(ctx)) }()
	counter, current := newCounter(t.namespace), atomic.Int64{}
	var mu sync.Mutex
	for i, side := range p.sides() {
		t.xcc.way(side).Observe(func(call proxy.Call) {
			if id, ok := counter.id(i, call); ok {
				mu.Lock()
				defer mu.Unlock()
				calls = append(calls, recordedCall{id, int(current.Load())})
			}
		}, nil)
	}
	if err := t.xcc.start(); err != nil {
		return nil, "", err
	}
	for i, step := range scenario {
		current.Store(int64(i))
		if err := t.play(ctx, []scenarioStep{step}); err != nil {
			return nil, "", err
		}
	}
	final, err = t.final(ctx)
	mu.Lock()
	defer mu.Unlock()
	return slices.Clone(calls), final, err
}

// armed kills xcc at a call, and tells whether it has come to that. It does so only between load and unload: a call that
// comes before its step, as one that a timer makes may, is let pass, and so is one that comes after, because fewer calls of
// its kind were made before; where xcc is to stay down, nobody would start it again.
type armed struct {
	done chan struct{} // closed when xcc was killed

	mu           sync.Mutex
	live, killed bool
}

func (t *trial) arm(id callID, after, stayDown bool) *armed {
	a, counter := &armed{done: make(chan struct{})}, newCounter(t.namespace)
	killAtCall(t.xcc, t.sides()[id.side], killing{after: after, stayDown: stayDown, killed: func() { close(a.done) }, chosen: func(call proxy.Call) bool {
		got, ok := counter.id(id.side, call)
		return ok && got == id && a.kills()
	}})
	return a
}

func (a *armed) load() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.live = true
}

// kills decides, once.
func (a *armed) kills() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	kills := a.live && !a.killed
	a.killed = a.killed || kills
	return kills
}

// unload reports whether xcc was killed, which it then has been.
func (a *armed) unload() bool {
	a.mu.Lock()
	a.live = false
	killed := a.killed
	a.mu.Unlock()
	if killed {
		<-a.done
	}
	return killed
}

// final is what xcc has made of both clusters, without what differs from run to run: UIDs, resourceVersions and addresses.
func (t *trial) final(ctx context.Context) (string, error) {
	a, b, err := t.look(ctx, t.namespace)
	if err != nil {
		return "", err
	}
	var all []string
	for i, scene := range []invariant.Scene{a, b} {
		for key, state := range scene.States {
			if state.Service == nil || state.Service.Labels[exportLabel] == "follower" {
				all = append(all, fmt.Sprintf("%c/%s: %s", 'A'+rune(i), key.Name, anonymous(state)))
			}
		}
	}
	slices.Sort(all)
	return strings.Join(all, "\n"), nil
}

func anonymous(state invariant.State) string {
	state = invariant.Normal(state)
	hide := func(meta *metav1.ObjectMeta) {
		*meta = metav1.ObjectMeta{Name: meta.Name, Labels: meta.Labels, Finalizers: meta.Finalizers}
	}
	if state.Service != nil {
		hide(&state.Service.ObjectMeta)
		state.Service.Status = corev1.ServiceStatus{}
	}
	for _, slice := range state.Slices {
		hide(&slice.ObjectMeta)
		for i := range slice.Endpoints {
			slice.Endpoints[i].Addresses = nil
		}
	}
	if state.Endpoints != nil {
		hide(&state.Endpoints.ObjectMeta)
		for _, subset := range state.Endpoints.Subsets {
			for i := range subset.Addresses {
				subset.Addresses[i].IP = ""
			}
		}
	}
	data, err := json.Marshal(state)
	if err != nil {
		return err.Error()
	}
	return string(data)
}
