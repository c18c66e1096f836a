package model

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"xcc/test/cluster"
	"xcc/test/invariant"
)

// Statistics add up what runs have done.
type Statistics struct {
	Runs, Operations, Skipped int
	Faults                    map[string]int
	Writes, Destructions      int
	Released                  int // how often an operator had to let withdrawals through
	Violations                int
}

// Add takes in those of another run.
func (s *Statistics) Add(other Statistics) {
	if s.Faults == nil {
		s.Faults = map[string]int{}
	}
	s.Runs, s.Operations, s.Skipped = s.Runs+other.Runs, s.Operations+other.Operations, s.Skipped+other.Skipped
	s.Writes, s.Destructions = s.Writes+other.Writes, s.Destructions+other.Destructions
	s.Released, s.Violations = s.Released+other.Released, s.Violations+other.Violations
	for kind, count := range other.Faults {
		s.Faults[kind] += count
	}
}

func (s Statistics) String() string {
	var text strings.Builder
	total := 0
	for _, kind := range slices.Sorted(maps.Keys(s.Faults)) {
		fmt.Fprintf(&text, "  %5d %s\n", s.Faults[kind], kind)
		total += s.Faults[kind]
	}
	return fmt.Sprintf("%d runs\n%d faults\n%s%d operations, and %d that found nothing to do\n%d writes of xcc, %d of which took something away\n"+
		"%d times an operator let held withdrawals through\n%d violations",
		s.Runs, total, text.String(), s.Operations, s.Skipped, s.Writes, s.Destructions, s.Released, s.Violations)
}

// run is one seed at work.
type run struct {
	*Pair
	seed       uint64
	random     *rand.Rand
	namespaces []string
	xcc        *xcc
	second     *xcc
	faults     *faults
	operations *operations
	log        []string
	statistics Statistics
	releases   []invariant.Interval
	fenced     int // how many fences there were while the brake held
	began      marks
}

// Length is how many steps a run has.
const Length = 40

// actionTime bounds one action: the API server that it asks may be down.
const actionTime = 30 * time.Second

// settleTime is how long the clusters and xcc get to settle when all faults are over. It is no measure of xcc: the
// namespace controller takes most of it.
const settleTime = 2 * time.Minute

// Run carries out one seed, and gives an error with the log of what was done if anything was violated.
func (p *Pair) Run(ctx context.Context, seed uint64) (Statistics, error) {
	r := p.newRun(seed)
	err := r.all(ctx)
	if err != nil {
		r.statistics.Violations++
		err = r.explain("TestSeeds", err)
	}
	return r.statistics, err
}

func (p *Pair) newRun(seed uint64) *run {
	return &run{Pair: p, seed: seed, random: rand.New(rand.NewPCG(seed, 0)), statistics: Statistics{Runs: 1, Faults: map[string]int{}}}
}

func (r *run) all(ctx context.Context) (err error) {
	// Most deletions are to pass: the brake has seeds of its own.
	if err := r.begin(ctx, "--max-delete-percent=100"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.end(ctx)) }()
	for range Length {
		r.step(ctx)
	}
	if err := r.settle(ctx); err != nil {
		return err
	}
	if err := r.rest(ctx); err != nil {
		return err
	}
	return r.judge(ctx, 100)
}

func (r *run) end(ctx context.Context) error {
	return errors.Join(r.second.remove(ctx), r.xcc.remove(ctx), r.dropNamespaces(ctx, append(r.namespaces, r.fenceNamespace())...))
}

// lastRun makes the namespaces of every run others.
var lastRun int

// begin makes the namespaces and starts xcc, which looks at nothing else and keeps its counts there.
func (r *run) begin(ctx context.Context, flags ...string) error {
	lastRun++
	r.namespaces = []string{fmt.Sprintf("run-%d-x", lastRun), fmt.Sprintf("run-%d-y", lastRun)}
	if err := r.createNamespaces(ctx, append(r.namespaces, r.fenceNamespace())...); err != nil {
		return err
	}
	var err error
	if r.began, err = r.mark(); err != nil {
		return err
	}
	flags = append(flags, "--lease-namespace", r.fenceNamespace())
	for _, namespace := range append(r.namespaces, r.fenceNamespace()) {
		flags = append(flags, "--namespace", namespace)
	}
	if r.xcc, err = r.install(ctx, flags...); err != nil {
		return err
	}
	if r.second, err = r.install(ctx, flags...); err != nil {
		return err
	}
	r.operations = &operations{random: r.random, pair: r.Pair, namespaces: r.namespaces}
	r.faults = &faults{random: r.random, pair: r.Pair, xcc: r.xcc, second: r.second, ending: map[int][]action{}}
	return r.xcc.start()
}

func (r *run) fenceNamespace() string {
	return strings.TrimSuffix(r.namespaces[0], "x") + "fence"
}

// step is a few operations, perhaps a fault, and a pause in which xcc does more or less of what they ask of it. The pause
// is part of the search: it waits for nothing.
func (r *run) step(ctx context.Context) {
	for _, over := range r.faults.step() {
		r.carryOut(ctx, over)
	}
	if r.random.IntN(3) == 0 {
		fault := r.faults.next()
		r.statistics.Faults[fault.kind]++
		r.carryOut(ctx, fault)
	}
	for range 1 + r.random.IntN(3) {
		r.operate(ctx)
	}
	time.Sleep(time.Duration(r.random.IntN(150)) * time.Millisecond)
}

func (r *run) operate(ctx context.Context) {
	if r.carryOut(ctx, r.operations.next()) {
		r.statistics.Operations++
	} else {
		r.statistics.Skipped++
	}
}

// carryOut does one action and notes what came of it. It reports whether there was anything to do.
func (r *run) carryOut(ctx context.Context, what action) bool {
	ctx, cancel := context.WithTimeout(ctx, actionTime)
	defer cancel()
	began := time.Now()
	err := what.do(ctx)
	line := began.Format("15:04:05.000 ") + what.text
	switch {
	case err == nil:
	case isNothing(err):
		line += " (nothing: " + string(apierrors.ReasonForError(err)) + ")"
	default:
		line += " (failed: " + err.Error() + ")"
	}
	r.log = append(r.log, line)
	return err == nil
}

// settle ends all faults and waits until both clusters are as they should be.
func (r *run) settle(ctx context.Context) error {
	for _, steps := range slices.Sorted(maps.Keys(r.faults.ending)) {
		for _, over := range r.faults.ending[steps] {
			r.carryOut(ctx, over)
		}
	}
	r.second.mend()
	r.second.kill(true)
	r.xcc.mend()
	_ = r.xcc.signal(syscall.SIGCONT)
	for _, side := range r.sides() {
		if !side.APIServer.Running() {
			if err := side.APIServer.Start(ctx); err != nil {
				return err
			}
		}
	}
	r.note("all faults are over")
	return r.releasedAndAtRest(ctx, r.namespaces...)
}

// releasedAndAtRest waits until both clusters are as they should be, and lets held withdrawals through.
func (r *run) releasedAndAtRest(ctx context.Context, namespaces ...string) error {
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	resting := r.resting(namespaces...)
	const seldom = 50 // of the times that it looks
	looks := 0
	return cluster.Eventually(ctx, "both clusters are as they should be", func(ctx context.Context) error {
		err := resting(ctx)
		if looks++; err == nil || looks%seldom != 0 {
			return err
		}
		return errors.Join(err, r.release(ctx))
	})
}

// release does what an operator does who finds withdrawals held.
func (r *run) release(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	for _, side := range r.sides() {
		name := "xcc-brake-" + string(r.other(side).UID)
		ledger, err := side.Clientset().CoreV1().ConfigMaps(r.fenceNamespace()).Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return err
		}
		if tripped, _ := strconv.ParseBool(ledger.Data["tripped"]); !tripped {
			continue
		}
		began := time.Now()
		code, log, err := r.xcc.once(ctx, "--allow-mass-delete")
		r.releases = append(r.releases, invariant.Interval{From: began, To: time.Now()})
		r.statistics.Released++
		r.note(fmt.Sprintf("the brake of %s had tripped (%v): let through with code %d", side.Name, ledger.Data, code))
		if err != nil {
			return err
		}
		if code != 0 {
			return fmt.Errorf("xcc sync --once --allow-mass-delete: exit code %d:\n%s", code, tail(log, 20))
		}
	}
	return nil
}

// rest checks that nothing is written any more, while a fence passes in each direction. What the clusters hold may be right
// before xcc has heard of the last change, and it may try then what is refused: a fence before shows that it has heard.
func (r *run) rest(ctx context.Context) error {
	before, err := r.fences(ctx, "first")
	if err != nil {
		return err
	}
	here, err := r.mark()
	if err != nil {
		return err
	}
	fences, err := r.fences(ctx, "second")
	if err != nil {
		return err
	}
	a, b, err := r.requests(here)
	if err != nil {
		return err
	}
	if err := violated(r.names().Quiet(a, b, append(before, fences...)...)); err != nil {
		return err
	}
	return r.resting(append(r.namespaces, r.fenceNamespace())...)(ctx)
}

// fences are one in each direction.
func (r *run) fences(ctx context.Context, name string) ([]invariant.Key, error) {
	var keys []invariant.Key
	for _, side := range r.sides() {
		key := invariant.Key{Namespace: r.fenceNamespace(), Name: name + "-of-" + side.Name}
		keys = append(keys, key)
		if err := r.fence(ctx, side, key.Name); err != nil {
			return nil, err
		}
	}
	return keys, nil
}

// fence exports a Service and waits for its pointer. The time is xcc's from when Kubernetes has made the slices: its
// controllers may take half a minute to come back to an API server that was killed a few times.
func (r *run) fence(ctx context.Context, side *Side, name string) error {
	if err := side.create(ctx, clusterIP, r.fenceNamespace(), name, true); err != nil {
		return err
	}
	if err := r.sliced(ctx, side, name); err != nil {
		return err
	}
	return cluster.Eventually(ctx, "the fence of "+side.Name, func(ctx context.Context) error {
		endpoints, err := r.other(side).Clientset().CoreV1().Endpoints(r.fenceNamespace()).Get(ctx, name, metav1.GetOptions{})
		if err == nil && endpoints.Labels[exportLabel] != "follower" {
			return fmt.Errorf("%s/%s is not the pointer's", endpoints.Namespace, endpoints.Name)
		}
		return err
	})
}

// sliced waits until Kubernetes has made slices for a fence.
func (r *run) sliced(ctx context.Context, side *Side, name string) error {
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	return cluster.Eventually(ctx, "Kubernetes makes slices for the fence of "+side.Name, func(ctx context.Context) error {
		list, err := side.Clientset().DiscoveryV1().EndpointSlices(r.fenceNamespace()).List(ctx, metav1.ListOptions{
			LabelSelector: discoveryv1.LabelServiceName + "=" + name,
		})
		if err == nil && len(list.Items) == 0 {
			return errors.New("there is none")
		}
		return err
	})
}

// judge asks the checker about every write since the run began.
func (r *run) judge(ctx context.Context, percent int) error {
	world, err := r.world(ctx, r.began)
	if err != nil {
		return err
	}
	world.Releases, world.MaxDeletePercent = r.releases, percent
	mine := in(append(r.namespaces, r.fenceNamespace())...)
	world.KeepsCount = mine
	report := world.Writes()
	r.statistics.Writes += report.Writes
	r.statistics.Destructions += report.Destructions
	if len(report.Unjudged) > 0 {
		return fmt.Errorf("the witnesses do not tell enough about %d writes: %s", len(report.Unjudged), strings.Join(report.Unjudged, "\n"))
	}
	return violated(report.Violations)
}

func (r *run) note(text string) {
	r.log = append(r.log, time.Now().Format("15:04:05.000 ")+text)
}

// explain says how to come here again.
func (r *run) explain(test string, err error) error {
	log := ""
	if r.xcc != nil && r.second != nil {
		log = keepLog(fmt.Sprintf("xcc-model-seed-%d.log", r.seed), r.xcc.log()+"\n=== the second daemon ===\n"+r.second.log())
	}
	return fmt.Errorf("seed %d: %w\n\nthe same operations and faults again, though not with the same timing:\n"+
		"    cd test && go test ./model -run %s -seeds=1 -seed=%d\n\nxcc's log: %s\nwhat was done:\n%s",
		r.seed, err, test, r.seed, log, strings.Join(r.log, "\n"))
}
