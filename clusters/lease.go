package clusters

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// A leader that is killed is replaced in under 15 s. A daemon that stands by looks every leaseRetry, or up to 2.2 times that,
// as client-go has it, and waits for leaseDuration from when it saw the last renewal: that is one such pause before and one
// after.
const (
	leaseDuration = 10 * time.Second
	leaseRenew    = 7 * time.Second
	leaseRetry    = time.Second
	// leaseRelease is how long it may take to give the Lease back. The process is to end whether the cluster answers or not.
	leaseRelease = 2 * time.Second
)

// ErrLeaseLost says that another daemon may have taken over.
var ErrLeaseLost = errors.New("lost the lease to another daemon, or could not renew it in time")

// Lead waits until this daemon holds the Lease, and then runs lead, once; identity tells the daemons apart. The context of
// lead ends with ctx, and when the Lease is lost; then Lead fails with [ErrLeaseLost]. When lead has returned, the Lease
// is given back, so that the next daemon takes over at once. held fails once the Lease may be another's, as far as this host
// can tell: a daemon that was paused learns it there before its elector gives up.
//
// Only one daemon at a time leads, but no correctness may rest on it: a leader that was paused doesn't know that its Lease
// has run out before it looks.
func (c *Cluster) Lead(ctx context.Context, namespace, identity string, lead func(ctx context.Context, held func() error) error) error {
	// The elector goes on until lead has returned, whatever ctx says.
	electing, stopElecting := context.WithCancel(context.WithoutCancel(ctx))
	asking, stopAsking := context.WithCancel(context.WithoutCancel(ctx))
	defer stopAsking()
	leading := make(chan context.Context, 1)
	lock := &leaseLock{cluster: c, namespace: namespace, identity: identity, asking: asking}
	elector, err := c.elector(lock, leading)
	if err != nil {
		stopElecting()
		return fmt.Errorf("lease %s/%s: %w", namespace, leaseName, err)
	}
	var group sync.WaitGroup
	group.Go(func() { elector.Run(electing) })
	defer func() {
		stopElecting()
		defer time.AfterFunc(leaseRelease, stopAsking).Stop()
		group.Wait()
		if lock.held() == nil {
			c.log.Warnf("could not give the Lease back within %s; another daemon takes over when it has run out", leaseRelease)
		}
	}()
	select {
	case <-ctx.Done():
		return nil
	case held := <-leading:
		working, stop := context.WithCancelCause(ctx)
		defer stop(nil)
		defer context.AfterFunc(held, func() { stop(ErrLeaseLost) })()
		if err := lead(working, lock.held); err != nil {
			return err
		}
		if errors.Is(context.Cause(working), ErrLeaseLost) {
			return ErrLeaseLost
		}
		return nil
	}
}

// elector competes for the lock. When it has it, leading is sent a context that ends when it is lost.
func (c *Cluster) elector(lock *leaseLock, leading chan<- context.Context) (*leaderelection.LeaderElector, error) {
	return leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock:            lock,
		LeaseDuration:   leaseDuration,
		RenewDeadline:   leaseRenew,
		RetryPeriod:     leaseRetry,
		ReleaseOnCancel: true,
		Name:            leaseName,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(ctx context.Context) { leading <- ctx },
			OnStoppedLeading: func() {},
			OnNewLeader:      func(leader string) { c.log.WithField("leader", leader).Info("the Lease has a holder") },
		},
	})
}

const leaseName = "xcc"

// leaseLock is a LeaseLock on whatever session the cluster has.
type leaseLock struct {
	cluster             *Cluster
	namespace, identity string
	asking              context.Context // bounds all requests: to give the Lease back, the elector would take longer

	mu      sync.Mutex
	session *session
	lock    *resourcelock.LeaseLock
	renewed time.Time // when the renewal that was confirmed last was asked for; zero where the Lease is not this daemon's
}

// held fails once the Lease may be another's. Whoever waits for it to run out began to count when the renewal had been
// written, so after it was asked for. The elector's own Check knows less: it counts from the answer, and from any reading
// of the Lease, and finds nothing wrong with a Lease that is another's.
func (l *leaseLock) held() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.renewed.IsZero() || time.Since(l.renewed) >= leaseDuration {
		return ErrLeaseLost
	}
	return nil
}

// wrote notes what has become of the Lease by a write that was asked for at that time.
func (l *leaseLock) wrote(asked time.Time, record resourcelock.LeaderElectionRecord) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.renewed = asked; record.HolderIdentity != l.identity {
		l.renewed = time.Time{}
	}
}

// read notes who has the Lease. That it is this daemon's does not renew it.
func (l *leaseLock) read(record resourcelock.LeaderElectionRecord) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if record.HolderIdentity != l.identity {
		l.renewed = time.Time{}
	}
}

// current gives the lock of the current session. After a change of session it knows no Lease yet; the elector then gets
// it first.
func (l *leaseLock) current() (*resourcelock.LeaseLock, error) {
	s, err := l.cluster.session()
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.session != s {
		l.session = s
		l.lock = &resourcelock.LeaseLock{
			LeaseMeta:  metav1.ObjectMeta{Namespace: l.namespace, Name: leaseName},
			Client:     s.client.CoordinationV1(),
			LockConfig: resourcelock.ResourceLockConfig{Identity: l.identity},
		}
	}
	return l.lock, nil
}

// bounded ends with asking as well.
func (l *leaseLock) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(l.asking, cancel)
	return ctx, func() {
		stop()
		cancel()
	}
}

// Get implements [resourcelock.Interface].
func (l *leaseLock) Get(ctx context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	lock, err := l.current()
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := l.bounded(ctx)
	defer cancel()
	record, raw, err := lock.Get(ctx)
	if err == nil {
		l.read(*record)
	}
	return record, raw, err
}

// Create implements [resourcelock.Interface].
func (l *leaseLock) Create(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	return l.write(ctx, record, (*resourcelock.LeaseLock).Create)
}

// Update implements [resourcelock.Interface].
func (l *leaseLock) Update(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	return l.write(ctx, record, (*resourcelock.LeaseLock).Update)
}

func (l *leaseLock) write(ctx context.Context, record resourcelock.LeaderElectionRecord,
	write func(*resourcelock.LeaseLock, context.Context, resourcelock.LeaderElectionRecord) error) error {
	lock, err := l.current()
	if err != nil {
		return err
	}
	ctx, cancel := l.bounded(ctx)
	defer cancel()
	asked := time.Now()
	if err := write(lock, ctx, record); err != nil {
		return err
	}
	l.wrote(asked, record)
	return nil
}

// RecordEvent implements [resourcelock.Interface]; the log tells of changes.
func (l *leaseLock) RecordEvent(string) {}

// Identity implements [resourcelock.Interface].
func (l *leaseLock) Identity() string { return l.identity }

// Describe implements [resourcelock.Interface].
func (l *leaseLock) Describe() string { return l.namespace + "/" + leaseName }
