package model

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"xcc/test/cluster"
)

// RunBrake carries out one seed of another kind: a cluster loses most of its Services at once, while xcc is killed at one
// of its writes and has the default brake. What is held stays, whatever happens to xcc, until an operator lets it go or
// the Services are back.
func (p *Pair) RunBrake(ctx context.Context, seed uint64) (Statistics, error) {
	r := p.newRun(seed)
	err := r.brake(ctx)
	if err != nil {
		r.statistics.Violations++
		err = r.explain("TestBrakeSeeds", err)
	}
	return r.statistics, err
}

func (r *run) brake(ctx context.Context) (err error) {
	const percent = 50
	if err := r.begin(ctx, "--max-delete-percent", strconv.Itoa(percent)); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.end(ctx)) }()
	side := r.sides()[r.random.IntN(2)]
	namespace, count := r.namespaces[0], 22+r.random.IntN(10)
	for i := range count {
		if err := side.create(ctx, clusterIP, namespace, fmt.Sprintf("shop-%d", i), true); err != nil {
			return err
		}
	}
	r.statistics.Operations += count
	if err := r.settled(ctx); err != nil {
		return err
	}
	r.massDelete(ctx, side, namespace, count)
	if err := r.held(ctx, side, namespace, count, percent); err != nil {
		return err
	}
	if r.random.IntN(2) == 0 {
		r.note("the Services come back")
		for i := range count {
			if err := side.create(ctx, clusterIP, namespace, fmt.Sprintf("shop-%d", i), true); err != nil && !apierrors.IsAlreadyExists(err) {
				return err
			}
		}
	} else if err := r.release(ctx); err != nil {
		return err
	}
	if err := r.settled(ctx); err != nil {
		return err
	}
	return r.judge(ctx, percent)
}

// massDelete deletes nearly all Services, and has xcc killed at one of the writes that follow.
func (r *run) massDelete(ctx context.Context, side *Side, namespace string, count int) {
	nth, after := 1+r.random.IntN(12), r.random.IntN(2) == 0
	r.note(fmt.Sprintf("kill -9 at write %d of those that withdraw, after it: %t", nth, after))
	r.statistics.Faults["kill at a call"]++
	writes := newSequence(nth)
	killAtCall(r.xcc, r.other(side), killing{after: after, chosen: writes.isDue})
	r.note(fmt.Sprintf("%d of %d Services of %s are deleted", count-1, count, side.Name))
	for _, i := range r.random.Perm(count)[1:] {
		r.carryOut(ctx, about("delete", side, namespace, fmt.Sprintf("shop-%d", i), "", func(ctx context.Context) error {
			return side.Clientset().CoreV1().Services(namespace).Delete(ctx, fmt.Sprintf("shop-%d", i), metav1.DeleteOptions{})
		}))
	}
	r.statistics.Operations += count - 1
}

// held waits until the brake has tripped, and looks whether it holds: over a fence, and over a restart.
func (r *run) held(ctx context.Context, side *Side, namespace string, count, percent int) error {
	target := r.other(side)
	waiting, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	err := cluster.Eventually(waiting, "the brake trips", func(ctx context.Context) error {
		ledger, err := target.Clientset().CoreV1().ConfigMaps(r.fenceNamespace()).Get(ctx, "xcc-brake-"+string(side.UID), metav1.GetOptions{})
		if err == nil && ledger.Data["tripped"] != "true" {
			return fmt.Errorf("it says %v", ledger.Data)
		}
		return err
	})
	if err != nil {
		return err
	}
	for round, disturb := range []func(){func() {}, func() { r.note("kill -9"); r.statistics.Faults["kill"]++; r.xcc.kill(false) }} {
		disturb()
		for _, from := range r.sides() {
			if err := r.fence(ctx, from, fmt.Sprintf("fence-%d-of-%s", round, from.Name)); err != nil {
				return err
			}
		}
		list, err := target.Clientset().CoreV1().Services(namespace).List(ctx, metav1.ListOptions{LabelSelector: exportLabel + "=follower"})
		if err != nil {
			return err
		}
		if gone, limit := count-len(list.Items), max(10, count*percent/100); gone > limit {
			return fmt.Errorf("I6: %d of %d pointers are gone from %s, and at most %d may be", gone, count, target.Name, limit)
		}
	}
	return nil
}

// settled waits until both clusters are as they should be; there are no faults.
func (r *run) settled(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	return cluster.Eventually(ctx, "both clusters are as they should be", r.resting(r.namespaces...))
}
