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
// the Services are back; when only those are back that were held, they are held again when they go again. In half of the
// seeds there are two daemons.
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
	if r.random.IntN(2) == 0 {
		r.note("there is a second daemon")
		if err := r.second.start(); err != nil {
			return err
		}
	}
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
	var all []string
	for i := range count {
		all = append(all, fmt.Sprintf("shop-%d", i))
	}
	switch r.random.IntN(3) {
	case 0:
		r.note("the Services come back")
		err = r.comeBack(ctx, side, namespace, all)
	case 1:
		if err = r.undoHeld(ctx, side, namespace); err == nil {
			err = r.held(ctx, side, namespace, count, percent)
		}
		err = errors.Join(err, r.release(ctx))
	default:
		err = r.release(ctx)
	}
	if err != nil {
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
	var names []string
	for _, i := range r.random.Perm(count)[1:] {
		names = append(names, fmt.Sprintf("shop-%d", i))
	}
	r.deleteAll(ctx, side, namespace, names)
}

func (r *run) deleteAll(ctx context.Context, side *Side, namespace string, names []string) {
	for _, name := range names {
		r.carryOut(ctx, about("delete", side, namespace, name, "", func(ctx context.Context) error {
			return side.Clientset().CoreV1().Services(namespace).Delete(ctx, name, metav1.DeleteOptions{})
		}))
	}
	r.statistics.Operations += len(names)
}

func (r *run) comeBack(ctx context.Context, side *Side, namespace string, names []string) error {
	for _, name := range names {
		if err := side.create(ctx, clusterIP, namespace, name, true); err != nil && !apierrors.IsAlreadyExists(err) {
			return err
		}
	}
	return nil
}

// undoHeld brings back what is held and nothing else, until the brake is released, and deletes it again.
func (r *run) undoHeld(ctx context.Context, side *Side, namespace string) error {
	list, err := r.other(side).Clientset().CoreV1().Services(namespace).List(ctx, metav1.ListOptions{LabelSelector: exportLabel + "=follower"})
	if err != nil {
		return err
	}
	var names []string
	for _, pointer := range list.Items {
		if _, err := side.Clientset().CoreV1().Services(namespace).Get(ctx, pointer.Name, metav1.GetOptions{}); apierrors.IsNotFound(err) {
			names = append(names, pointer.Name)
		}
	}
	r.note(fmt.Sprintf("%d Services that are held come back, and go again", len(names)))
	if err := r.comeBack(ctx, side, namespace, names); err != nil {
		return err
	}
	if err := r.brakeSays(ctx, side, "false"); err != nil {
		return err
	}
	r.deleteAll(ctx, side, namespace, names)
	return nil
}

// brakeSays waits until the ledger about a side says whether the brake holds.
func (r *run) brakeSays(ctx context.Context, side *Side, tripped string) error {
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	return cluster.Eventually(ctx, "the brake says tripped "+tripped, func(ctx context.Context) error {
		ledger, err := r.other(side).Clientset().CoreV1().ConfigMaps(r.fenceNamespace()).Get(ctx, "xcc-brake-"+string(side.UID), metav1.GetOptions{})
		if err == nil && ledger.Data["tripped"] != tripped {
			return fmt.Errorf("it says %v", ledger.Data)
		}
		return err
	})
}

// held waits until the brake has tripped, and looks whether it holds: over a fence, and over a restart.
func (r *run) held(ctx context.Context, side *Side, namespace string, count, percent int) error {
	target := r.other(side)
	if err := r.brakeSays(ctx, side, "true"); err != nil {
		return err
	}
	for _, disturb := range []func(){func() {}, func() { r.note("kill -9"); r.statistics.Faults["kill"]++; r.xcc.kill(false) }} {
		disturb()
		for _, from := range r.sides() {
			r.fenced++
			if err := r.fence(ctx, from, fmt.Sprintf("fence-%d-of-%s", r.fenced, from.Name)); err != nil {
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
