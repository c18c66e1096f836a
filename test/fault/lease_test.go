package fault

import (
	"context"
	"errors"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// lease is what side A keeps about which of the daemons works.
func (s *side) lease(t *testing.T) coordinationv1.LeaseSpec {
	t.Helper()
	lease, err := s.Clientset().CoordinationV1().Leases(s.rig.namespace).Get(t.Context(), "xcc", metav1.GetOptions{})
	mustBe(t, err)
	return lease.Spec
}

func holder(lease coordinationv1.LeaseSpec) string { return ptr.Deref(lease.HolderIdentity, "") }

// succession waits until another daemon has the Lease, and gives how long that was after the holder last renewed it.
func (s *side) succession(t *testing.T, held coordinationv1.LeaseSpec) time.Duration {
	t.Helper()
	var next coordinationv1.LeaseSpec
	eventually(t, "another daemon has the Lease", func(context.Context) error {
		next = s.lease(t)
		switch holder(next) {
		case "":
			return errors.New("nobody has it")
		case holder(held):
			held = next
			return errors.New("the same one has it")
		}
		return nil
	})
	return next.AcquireTime.Sub(held.RenewTime.Time)
}
