package sync

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/sirupsen/logrus"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/util/workqueue"
)

// Order is what an operator orders about all pointers of one source in one target. It is carried out on his word: the
// source is not asked, as it may be gone, and the delete brake does not hold it. What is not that source's is left alone.
type Order struct {
	// Source is the UID of the cluster that the pointers come from.
	Source types.UID
	Target TargetReader
	Writer TargetWriter
	Log    logrus.FieldLogger
}

// Withdraw deletes the pointers, and gives how many names had something to delete.
func (o Order) Withdraw(ctx context.Context) (int, error) {
	return o.carryOut(ctx, Rules.death)
}

// Evacuate takes all addresses out of the pointers and leaves their Services, as a daemon does while the source is
// drained. It gives how many names had some.
func (o Order) Evacuate(ctx context.Context) (int, error) {
	return o.carryOut(ctx, Rules.evacuation)
}

// Left counts the names whose pointers still have addresses.
func (o Order) Left() (int, error) {
	left := 0
	for key := range sets.New(o.Target.Keys()...) {
		copies, err := o.Target.Copies(key)
		if err != nil {
			return 0, err
		}
		if len((Rules{Cluster: o.Source}).evacuation(copies)) > 0 {
			left++
		}
	}
	return left, nil
}

func (o Order) carryOut(ctx context.Context, changes func(Rules, []*Copy) []Change) (int, error) {
	mirror := NewMirror("order", Direction{Rules: Rules{Cluster: o.Source}, Target: o.Target, Writer: o.Writer, Log: o.Log})
	defer mirror.queue.ShutDown()
	keys := sets.New(o.Target.Keys()...).UnsortedList()
	errs := make([]error, len(keys))
	var changed atomic.Int64
	workqueue.ParallelizeUntil(ctx, orderWorkers, len(keys), func(i int) {
		did, err := mirror.carryOut(ctx, keys[i], changes)
		if err != nil {
			errs[i] = fmt.Errorf("service %s: %w", keys[i], err)
		}
		if did {
			changed.Add(1)
		}
	})
	return int(changed.Load()), errors.Join(append(errs, context.Cause(ctx))...)
}

// orderWorkers is how many names an order is carried out for at a time.
const orderWorkers = 16

// carryOut makes changes that were ordered for a name, until there are none to make.
func (m *Mirror) carryOut(ctx context.Context, key Key, changes func(Rules, []*Copy) []Change) (did bool, err error) {
	for range maxRounds {
		copies, err := m.Target.Copies(key)
		if err != nil {
			return did, err
		}
		plan := Plan{Changes: changes(m.Rules, copies)}
		if len(plan.Changes) == 0 {
			return did, nil
		}
		did = true
		if err = m.apply(ctx, m.Rules, key, plan); err != nil && !errors.Is(err, errStale) {
			return did, err
		}
	}
	return did, errStale
}

// Origins counts the names in the target that have pointers, by the cluster that they come from.
type Origins []OriginCount

// OriginCount is how many pointers come from a cluster.
type OriginCount struct {
	Cluster types.UID
	Name    string
	Count   int
}

// OriginsOf counts the names that objects with the follower label belong to, by their origin, sorted. What has lost its
// origin has an empty one.
func OriginsOf(target TargetReader) (Origins, error) {
	counts := map[types.UID]*OriginCount{}
	for key := range sets.New(target.Keys()...) {
		copies, err := target.Copies(key)
		if err != nil {
			return nil, err
		}
		seen := sets.New[types.UID]()
		for _, c := range sorted(copies) {
			if c.ManagedBy == endpointSliceController || c.ManagedBy == mirroringController || seen.Has(c.OriginCluster) {
				continue
			}
			seen.Insert(c.OriginCluster)
			if counts[c.OriginCluster] == nil {
				counts[c.OriginCluster] = &OriginCount{Cluster: c.OriginCluster, Name: c.OriginName}
			}
			counts[c.OriginCluster].Count++
		}
	}
	var all Origins
	for _, count := range counts {
		all = append(all, *count)
	}
	slices.SortFunc(all, func(a, b OriginCount) int { return cmp.Compare(a.Cluster, b.Cluster) })
	return all, nil
}

// Of is how many come from a cluster.
func (o Origins) Of(cluster types.UID) int {
	for _, count := range o {
		if count.Cluster == cluster {
			return count.Count
		}
	}
	return 0
}

// Except leaves out those of some clusters.
func (o Origins) Except(clusters ...types.UID) Origins {
	return slices.DeleteFunc(slices.Clone(o), func(count OriginCount) bool { return slices.Contains(clusters, count.Cluster) })
}
