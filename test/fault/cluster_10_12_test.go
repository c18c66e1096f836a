package fault

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"xcc/test/cluster"
	"xcc/test/proxy"
)

func TestRestoredSource(t *testing.T) {
	t.Run("10 a source that was restored from an old backup loses nothing while it is behind, and is right afterwards", func(t *testing.T) {
		r := newRig(t, hurtPair(t))
		r.a.export(t, exported("cart"), r.a.address(1))
		r.a.export(t, exported("till"), r.a.address(2))
		r.run(t)
		r.a.mirrored(t, "cart", r.a.address(1))
		r.a.mirrored(t, "till", r.a.address(2))
		backup := filepath.Join(t.TempDir(), "backup")
		mustBe(t, r.a.Etcd.Snapshot(t.Context(), backup))

		// Before what xcc watches: it knows the revisions of that, and they must be out of reach for the restored cluster.
		r.a.fillUp(t, 300)
		r.a.export(t, exported("late"), r.a.address(3))
		r.a.scale(t, "cart", r.a.address(1), r.a.address(4))
		r.a.remove(t, "till")
		r.a.mirrored(t, "late", r.a.address(3))
		r.a.mirrored(t, "cart", r.a.address(1), r.a.address(4))
		r.a.gone(t, "till")

		mark := r.b.mark(t)
		mustBe(t, r.a.Restore(t.Context(), backup, 0))
		r.logged(t, "level=error", "cluster="+r.a.Name, "went backwards")
		// What is there can be believed; what is not there can't.
		r.a.fence(t)
		r.a.mirrored(t, "till", r.a.address(2))
		r.a.scale(t, "till")
		r.b.fence(t)
		r.a.fence(t)
		r.a.stands(t, "late", r.a.address(3))
		r.a.stands(t, "till", r.a.address(2))
		r.b.lostNothing(t, mark)

		r.a.fillUp(t, 400)
		r.a.gone(t, "late")
		r.a.mirrored(t, "cart", r.a.address(1))
		r.a.mirrored(t, "till")
		r.a.fence(t)
	})

	t.Run("11 a source that was restored with a later revision meets the delete brake, which outlives xcc and obeys an operator", func(t *testing.T) {
		r := newRig(t, hurtPair(t))
		r.a.export(t, exported("cart"), r.a.address(1))
		r.run(t)
		r.a.mirrored(t, "cart", r.a.address(1))
		backup := filepath.Join(t.TempDir(), "backup")
		mustBe(t, r.a.Etcd.Snapshot(t.Context(), backup))
		const vanishing = 31
		names := r.a.exportMany(t, "late", vanishing)
		for i, name := range names {
			r.a.mirrored(t, name, r.a.address(100+i))
		}

		mark := r.b.mark(t)
		mustBe(t, r.a.Restore(t.Context(), backup, 1_000_000))
		r.b.tripped(t, "true")
		r.logged(t, "level=error", "the delete brake holds", "--allow-mass-delete")
		r.a.fence(t)
		const allowed = (vanishing + 1) / 2
		if deleted := r.b.count(t, mark, "delete", "services"); deleted > allowed {
			t.Errorf("%d pointers were deleted, and %d were allowed", deleted, allowed)
		}
		held := r.b.held(t, names)
		if held < vanishing-allowed {
			t.Errorf("only %d pointers are left", held)
		}

		r.restart(t)
		r.logged(t, "first pass done", "from="+r.a.Name)
		r.a.fence(t)
		if again := r.b.held(t, names); again != held {
			t.Errorf("%d pointers were held before the restart, %d after it", held, again)
		}
		r.b.tripped(t, "true")

		if code, log := r.once(t, "--allow-mass-delete"); code != 0 {
			t.Errorf("xcc sync --once --allow-mass-delete exited with %d:\n%s", code, log)
		}
		for _, name := range names {
			r.a.gone(t, name)
		}
		r.b.tripped(t, "false")
		r.logged(t, "the delete brake is released")
		r.a.fence(t)
	})
}

func TestBrake(t *testing.T) {
	t.Run("11 the delete brake lets go by itself when the cause is undone, and pods may go as they like", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, shared)
		address, err := r.a.ReserveAddress()
		mustBe(t, err)
		names := r.a.exportMany(t, "cart", 24)
		r.run(t, "--listen", address)
		for i, name := range names {
			r.a.mirrored(t, name, r.a.address(100+i))
		}
		for _, name := range names {
			r.a.scale(t, name)
		}
		for _, name := range names {
			r.a.mirrored(t, name)
		}
		if values, err := r.b.ledger(t.Context()); err != nil || values != nil {
			t.Errorf("pods that went were counted: %v, %v", values, err)
		}
		for _, name := range names {
			r.a.label(t, name, "")
		}
		r.b.tripped(t, "true")
		r.a.measured(t, address, "xcc_brake_tripped", func(value float64) bool { return value == 1 })
		r.a.measured(t, address, "xcc_held_services", func(count float64) bool { return count > 0 })
		held := r.b.left(t, names)
		undo := func(names []string) {
			for _, name := range names {
				r.a.label(t, name, "true")
			}
			r.b.tripped(t, "false")
		}
		undo(held)
		r.logged(t, "the delete brake is released")

		// To undo a part is no way to another allowance.
		for _, name := range held {
			r.a.label(t, name, "")
		}
		r.b.tripped(t, "true")
		r.a.fence(t)
		if left := r.b.left(t, names); !slices.Equal(left, held) {
			t.Errorf("of the pointers %v, which were held before, there are %v", held, left)
		}

		undo(names)
		for _, name := range names {
			r.a.mirrored(t, name)
		}
		r.a.measured(t, address, "xcc_brake_tripped", func(value float64) bool { return value == 0 })
	})
}

// exportMany exports Services, the nth with the address 100+n.
func (s *side) exportMany(t *testing.T, name string, count int) []string {
	t.Helper()
	var names []string
	for i := range count {
		names = append(names, fmt.Sprintf("%s-%d", name, i))
		s.export(t, exported(names[i]), s.address(100+i))
	}
	return names
}

// left are the names whose pointers the brake holds: when as many are gone as it has counted.
func (s *side) left(t *testing.T, names []string) (left []string) {
	t.Helper()
	mustBe(t, cluster.Eventually(t.Context(), "what was let go is gone", func(ctx context.Context) error {
		left = nil
		for _, name := range names {
			found, err := s.find(ctx, name)
			if err != nil {
				return err
			}
			if found.Service != nil {
				left = append(left, name)
			}
		}
		values, err := s.ledger(ctx)
		if gone := fmt.Sprint(len(names) - len(left)); err == nil && values["withdrawn"] != gone {
			err = fmt.Errorf("%s are gone, and it says %v", gone, values)
		}
		return err
	}))
	return left
}

// held counts the names under which a target has a Service, and fails where one has lost its address.
func (s *side) held(t *testing.T, names []string) int {
	t.Helper()
	count := 0
	for _, name := range names {
		found, err := s.find(t.Context(), name)
		mustBe(t, err)
		if found.Service == nil {
			continue
		}
		count++
		if len(found.InSlices) != 1 || len(found.InEndpoints) != 1 {
			t.Errorf("the pointer of %s is held without its address: %+v", name, found)
		}
	}
	return count
}

func TestLaggingSource(t *testing.T) {
	t.Run("12 an API server that lags behind proves nothing, neither to a running xcc nor to one that starts", func(t *testing.T) {
		r := newRig(t, hurtPair(t))
		tunnel, err := proxy.StartTunnel(strings.TrimPrefix(r.a.Etcd.URL, "https://"))
		mustBe(t, err)
		defer tunnel.Close()
		lagging, err := r.a.AddAPIServer(t.Context(), cluster.APIServerOptions{EtcdURL: "https://" + tunnel.Address()})
		mustBe(t, err)
		defer func() { mustBe(t, lagging.Kill()) }()
		r.a.export(t, exported("cart"), r.a.address(1))
		r.a.export(t, exported("till"), r.a.address(2))
		// The server that will lag has seen those two, and nothing else.
		r.run(t)
		r.a.mirrored(t, "cart", r.a.address(1))
		r.a.mirrored(t, "till", r.a.address(2))
		start := r.a.mark(t)
		mustBe(t, r.a.Redirect(lagging.URL, r.a.access.CertificateAuthority, ""))
		r.a.fence(t)
		before := len(r.xcc.Log())
		tunnel.Freeze()
		r.a.export(t, exported("new"), r.a.address(3))
		r.a.remove(t, "till")
		r.a.scale(t, "cart", r.a.address(4))
		mark := r.b.mark(t)
		loggedSince(t, r.xcc, before, "level=error", "cluster="+r.a.Name)
		r.b.wroteNothing(t, mark)

		r.restart(t)
		eventually(t, "the new xcc asks the server that lags", func(context.Context) error { return hasAsked(r.a) })
		r.b.wroteNothing(t, mark)
		r.a.stands(t, "till", r.a.address(2))
		r.a.stands(t, "cart", r.a.address(1))

		tunnel.Thaw()
		r.a.mirrored(t, "new", r.a.address(3))
		r.a.mirrored(t, "cart", r.a.address(4))
		r.a.gone(t, "till")
		if found := r.a.readsAnyVersion(t, start); len(found) > 0 {
			t.Errorf("xcc asks for whatever version there is: %v", found)
		}
		mustBe(t, r.a.Redirect(r.a.APIServer.URL, r.a.access.CertificateAuthority, ""))
		r.a.fence(t)
	})
}

// hasAsked tells whether the last call to a side is still without an answer: xcc waits for it.
func hasAsked(s *side) error {
	calls := s.Calls()
	if last := calls[len(calls)-1]; last.Status != 0 {
		return fmt.Errorf("the last call is answered: %+v", last)
	}
	return nil
}
