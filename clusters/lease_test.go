package clusters

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"
	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/utils/ptr"
)

// fakeLease keeps the Lease as an API server does.
type fakeLease struct {
	mu      sync.Mutex
	lease   *coordinationv1.Lease
	version int
	written time.Time // when the last write came in
}

func (f *fakeLease) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case r.Method == http.MethodGet && f.lease == nil:
		answerStatus(w, http.StatusNotFound, metav1.StatusReasonNotFound)
		return
	case r.Method != http.MethodGet:
		f.written = time.Now()
		body, _ := io.ReadAll(r.Body)
		sent := &coordinationv1.Lease{}
		if _, _, err := scheme.Codecs.UniversalDeserializer().Decode(body, nil, sent); err != nil {
			answerStatus(w, http.StatusBadRequest, metav1.StatusReasonBadRequest)
			return
		}
		if f.lease != nil && sent.ResourceVersion != f.lease.ResourceVersion {
			answerStatus(w, http.StatusConflict, metav1.StatusReasonConflict)
			return
		}
		f.put(sent)
	}
	answer(w, f.lease)
}

func (f *fakeLease) put(lease *coordinationv1.Lease) {
	f.version++
	lease.TypeMeta = metav1.TypeMeta{APIVersion: "coordination.k8s.io/v1", Kind: "Lease"}
	lease.ResourceVersion = strconv.Itoa(f.version)
	f.lease = lease
}

// take gives the Lease to another daemon.
func (f *fakeLease) take(identity string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	lease := f.lease.DeepCopy()
	lease.Spec.HolderIdentity = ptr.To(identity)
	f.put(lease)
}

func TestALeaderThatFindsAnotherHolderMayWriteNoMore(t *testing.T) {
	f, lease := newFakeAPI(t, "blue"), &fakeLease{}
	f.handle = lease.ServeHTTP
	c, _ := f.connected(t)
	err := c.Lead(t.Context(), "xcc", "first", func(ctx context.Context, held func() error) error {
		if err := held(); err != nil {
			t.Errorf("it has just become the leader: %v", err)
		}
		lease.take("second")
		if wait.PollUntilContextCancel(ctx, time.Millisecond, true, func(context.Context) (bool, error) { return held() != nil, nil }) != nil {
			t.Error("until the elector gave up, it went on as if the Lease was its own")
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestALeaseIsHeldFromWhenItsRenewalWasAskedFor(t *testing.T) {
	f, lease := newFakeAPI(t, "blue"), &fakeLease{}
	f.handle = lease.ServeHTTP
	c, _ := f.connected(t)
	lock := &leaseLock{cluster: c, namespace: "xcc", identity: "first", asking: t.Context()}
	record := resourcelock.LeaderElectionRecord{HolderIdentity: "first", LeaseDurationSeconds: 10}
	for _, renew := range []func(context.Context, resourcelock.LeaderElectionRecord) error{lock.Create, lock.Update} {
		if err := renew(t.Context(), record); err != nil {
			t.Fatal(err)
		}
		if lock.held() != nil || lock.renewed.After(lease.written) {
			t.Errorf("asked for at %s, it counts from %s", lease.written, lock.renewed)
		}
	}
	lock.renewed = lock.renewed.Add(-leaseDuration)
	if _, _, err := lock.Get(t.Context()); err != nil || lock.held() == nil {
		t.Errorf("to read one's own Lease has renewed it: %v", err)
	}
}

// TestGivingTheLeaseBackIsBounded: the process has to end within ten seconds, of which this may take but two.
func TestGivingTheLeaseBackIsBounded(t *testing.T) {
	f, lease := newFakeAPI(t, "blue"), &fakeLease{}
	f.handle = lease.ServeHTTP
	c, _ := f.connected(t)
	logger, hook := logtest.NewNullLogger()
	c.log = logger
	hangs, answers := context.WithCancel(context.Background())
	t.Cleanup(answers)
	var ended time.Time
	err := c.Lead(t.Context(), "xcc", "first", func(context.Context, func() error) error {
		f.set(func() { f.handle = func(http.ResponseWriter, *http.Request) { <-hangs.Done() } })
		ended = time.Now()
		return nil
	})
	if took := time.Since(ended); err != nil || took >= leaseRenew {
		t.Errorf("it took %s: %v", took, err)
	}
	if last := hook.LastEntry(); last == nil || last.Level != logrus.WarnLevel {
		t.Errorf("the log says last %v", last)
	}
}

func TestTheTimesOfALeaseKeepThePromiseOfATakeover(t *testing.T) {
	factor := 1 + leaderelection.JitterFactor
	look := time.Duration(factor * float64(leaseRetry))
	if longest := look + leaseDuration + look; longest >= 15*time.Second {
		t.Errorf("a leader that is killed is replaced after %s", longest)
	}
}
