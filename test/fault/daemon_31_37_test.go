package fault

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"xcc/test/cluster"
	"xcc/test/proxy"
)

func TestTwoDaemons(t *testing.T) {
	t.Run("31 a leader that sleeps through its lease is replaced, and does no harm when it wakes", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, shared)
		first := r.run(t, "--leader-elect")
		r.a.export(t, exported("cart"), r.a.address(1))
		r.a.export(t, exported("till"), r.a.address(2))
		r.a.mirrored(t, "cart", r.a.address(1))
		r.a.mirrored(t, "till", r.a.address(2))
		second := r.run(t, "--leader-elect")
		loggedSince(t, second, 0, "the Lease has a holder")
		mustBe(t, first.Signal(syscall.SIGSTOP))
		r.a.remove(t, "till")
		r.a.scale(t, "cart", r.a.address(3))
		r.a.gone(t, "till")
		r.a.mirrored(t, "cart", r.a.address(3))
		// A new one of the same name, which the sleeper knows nothing of.
		r.a.export(t, headless(exported("till")), r.a.address(4))
		till := r.a.mirrored(t, "till", r.a.address(4))
		mark := r.b.mark(t)
		mustBe(t, first.Signal(syscall.SIGCONT))
		// It finds that the lease is another's, and ends.
		if code, err := first.Wait(t.Context()); err != nil || code != 1 || !strings.Contains(lastLines(first.Log(), 1), "lost the lease") {
			t.Errorf("the sleeper exited with %d, %v, and said %q", code, err, lastLines(first.Log(), 1))
		}
		r.a.fence(t)
		if now := r.a.mirrored(t, "till", r.a.address(4)); now.UID != till.UID {
			t.Error("the sleeper has replaced what its successor has made")
		}
		r.a.mirrored(t, "cart", r.a.address(3))
		// A Lease is no fence: the sleeper may try what it had in mind, and the version that it names holds it back.
		for _, event := range r.b.writes(t, mark) {
			if landed(event) && (event.Verb == "delete" || empties(t, event)) {
				t.Errorf("the sleeper has done %s", describe(event))
			}
		}
	})

	t.Run("31 a leader that is killed is replaced within 15 seconds", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, shared)
		first := r.run(t, "--leader-elect")
		r.a.export(t, exported("cart"), r.a.address(1))
		r.a.mirrored(t, "cart", r.a.address(1))
		second := r.run(t, "--leader-elect")
		loggedSince(t, second, 0, "the Lease has a holder")
		held := r.a.lease(t)
		mustBe(t, first.Kill())
		// The promise is that of the Lease's own times: the killed leader's last renewal came before its death.
		if took := r.a.succession(t, held); took > 15*time.Second {
			t.Errorf("it was replaced %s after it had last renewed the Lease", took)
		}
		r.a.scale(t, "cart", r.a.address(2))
		r.a.mirrored(t, "cart", r.a.address(2))
	})

	t.Run("31 a leader that ends hands over at once, and its successor begins with no writes", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, shared)
		first := r.run(t, "--leader-elect")
		names := r.a.exportMany(t, "cart", 10)
		for i, name := range names {
			r.a.mirrored(t, name, r.a.address(100+i))
		}
		second := r.run(t, "--leader-elect")
		loggedSince(t, second, 0, "the Lease has a holder")
		mark := r.b.mark(t)
		held := r.a.lease(t)
		terminate(t, first)
		if holder(r.a.lease(t)) == holder(held) {
			t.Error("it has kept the Lease to its end")
		}
		if took := r.a.succession(t, held); took >= time.Duration(*held.LeaseDurationSeconds)*time.Second {
			t.Errorf("its successor took %s, as if it had waited for the Lease to run out", took)
		}
		loggedSince(t, second, 0, "first pass done", "from="+r.a.Name)
		r.b.wroteNothing(t, mark)
		r.a.fence(t)
	})

	t.Run("31 two daemons without a lease write the same, and neither harms the other", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, shared)
		r.run(t)
		r.run(t)
		for round := range 3 {
			for i := range 4 {
				r.a.export(t, exported(fmt.Sprintf("cart-%d", i)), r.a.address(i))
			}
			for i := range 4 {
				r.a.scale(t, fmt.Sprintf("cart-%d", i), r.a.address(10+i), r.a.address(round))
			}
			for i := range 4 {
				r.a.mirrored(t, fmt.Sprintf("cart-%d", i), r.a.address(10+i), r.a.address(round))
			}
			for i := range 4 {
				r.a.remove(t, fmt.Sprintf("cart-%d", i))
			}
			for i := range 4 {
				r.a.gone(t, fmt.Sprintf("cart-%d", i))
			}
		}
		r.a.fence(t)
	})
}

func TestSilentSource(t *testing.T) {
	for name, fault := range map[string]struct{ begin, end func(*side) }{
		"cut":    {func(s *side) { s.Cut() }, func(s *side) { s.Mend() }},
		"frozen": {func(s *side) { s.Freeze() }, func(s *side) { s.Thaw() }},
	} {
		t.Run("32 the addresses of a source that is "+name+" for too long are withdrawn where that was asked for, and come back", func(t *testing.T) {
			t.Parallel()
			r := newRig(t, shared)
			exempt.Store(r.namespace, "an operator has asked for emptying without a proof")
			r.run(t, "--on-unreachable", "withdraw", "--stale-after", "5s")
			r.a.export(t, exported("cart"), r.a.address(1))
			was := r.a.mirrored(t, "cart", r.a.address(1))
			fault.begin(r.a)
			r.a.mirrored(t, "cart") // the Service without addresses
			fault.end(r.a)
			if now := r.a.mirrored(t, "cart", r.a.address(1)); now.UID != was.UID {
				t.Error("the Service was made anew")
			}
			r.a.fence(t)
		})
	}
}

func TestFlapping(t *testing.T) {
	t.Run("35 a label that flaps twenty times a second ends in its last state, with a bounded number of writes", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, shared)
		xcc := r.run(t)
		r.a.export(t, exported("cart"), r.a.address(1))
		r.a.mirrored(t, "cart", r.a.address(1))
		const flips = 51
		ticker := time.NewTicker(50 * time.Millisecond) // the fault's own pace
		defer ticker.Stop()
		flap := func() {
			for i := range flips {
				<-ticker.C
				r.a.label(t, "cart", []string{"", "true"}[i%2])
			}
		}
		flap()
		r.a.gone(t, "cart")
		r.a.label(t, "cart", "true")
		r.a.mirrored(t, "cart", r.a.address(1))

		// What happens while xcc sleeps, it learns at once. To follow each flip would be three writes for each of them.
		mark := r.b.mark(t)
		mustBe(t, xcc.Signal(syscall.SIGSTOP))
		flap()
		mustBe(t, xcc.Signal(syscall.SIGCONT))
		r.a.gone(t, "cart")
		r.a.fence(t)
		if writes := len(r.b.writes(t, mark)); writes > flips/2 {
			t.Errorf("%d writes for %d flips that were over when it woke", writes, flips)
		}
	})
}

func TestEndings(t *testing.T) {
	t.Run("37 SIGTERM in the initial sync ends xcc with 0 inside ten seconds, nothing is half-owned, and a restart goes on", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, shared)
		const many = 150
		names := r.a.exportMany(t, "cart", many)
		// In the middle of it all writes wait, until xcc says that it stops: those are the ones in hand.
		environment, stops := stopping(t)
		middle := make(chan struct{})
		var once sync.Once
		remove := r.b.Intercept(func(request *http.Request) proxy.Action {
			if proxy.CallOf(request).WriteNumber < 30 {
				return proxy.Pass()
			}
			once.Do(func() { close(middle) })
			return proxy.Delay(stops)
		})
		mustBe(t, cluster.WriteKubeconfig(r.kubeconfig(), r.a.through(), r.b.through()))
		r.runAs(t, environment)
		d := r.xcc
		select {
		case <-middle:
		case <-d.Exited():
			t.Fatal("xcc has ended by itself")
		}
		terminated := time.Now()
		mustBe(t, d.Signal(syscall.SIGTERM))
		code, err := d.Wait(t.Context())
		mustBe(t, err)
		remove()
		if took := time.Since(terminated); code != 0 || took > 10*time.Second {
			t.Errorf("xcc exited with %d after %s", code, took)
		}
		for _, broken := range []string{"use of closed network connection", "context canceled", "not connected"} {
			if strings.Contains(d.Log(), broken) {
				t.Errorf("a write in hand was not finished: %q", broken)
			}
		}
		done := wholePointers(t, r.b)
		if done == 0 || done == many {
			t.Errorf("%d of %d pointers were there when xcc ended", done, many)
		}
		r.run(t)
		for i, name := range names {
			r.a.mirrored(t, name, r.a.address(100+i))
		}
	})

	t.Run("37 with a disk so full that it can't log, xcc goes on", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, shared)
		mustBe(t, cluster.WriteKubeconfig(r.kubeconfig(), r.a.through(), r.b.through()))
		full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		mustBe(t, err)
		defer full.Close()
		command := exec.CommandContext(t.Context(), binary, append([]string{
			"sync", "--kubeconfig", r.kubeconfig(), "--context-a", r.a.Name, "--context-b", r.b.Name, "--listen=",
		}, r.flags()...)...)
		command.Stdout, command.Stderr, command.Env = full, full, []string{}
		mustBe(t, command.Start())
		r.a.export(t, exported("cart"), r.a.address(1))
		r.a.mirrored(t, "cart", r.a.address(1))
		r.a.remove(t, "cart")
		r.a.gone(t, "cart")
		mustBe(t, command.Process.Signal(syscall.SIGTERM))
		mustBe(t, command.Wait())
	})
}

// stopping gives the environment in which xcc says when it stops, and a channel that is closed then.
func stopping(t *testing.T) (environment []string, said <-chan struct{}) {
	t.Helper()
	// The path of a socket may be 107 bytes long, and a test's own directory has the name of the test in it.
	directory, err := os.MkdirTemp("", "xcc")
	mustBe(t, err)
	t.Cleanup(func() { mustBe(t, os.RemoveAll(directory)) })
	socket := filepath.Join(directory, "notify")
	connection, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	mustBe(t, err)
	t.Cleanup(func() { mustBe(t, connection.Close()) })
	stops := make(chan struct{})
	go func() {
		defer close(stops)
		message := make([]byte, 4096)
		for {
			length, err := connection.Read(message)
			if err != nil || strings.Contains(string(message[:length]), "STOPPING=1") {
				return
			}
		}
	}()
	return []string{"NOTIFY_SOCKET=" + socket}, stops
}

// wholePointers counts a target's pointers, and fails where a slice or Endpoints has no Service that is its own.
func wholePointers(t *testing.T, s *side) int {
	t.Helper()
	follower := metav1.ListOptions{LabelSelector: "fair.com/cross-cluster=follower"}
	services, err := s.Clientset().CoreV1().Services(s.rig.namespace).List(t.Context(), follower)
	mustBe(t, err)
	byName := map[string]corev1.Service{}
	for _, service := range services.Items {
		byName[service.Name] = service
	}
	slices, err := s.Clientset().DiscoveryV1().EndpointSlices(s.rig.namespace).List(t.Context(), follower)
	mustBe(t, err)
	for _, slice := range slices.Items {
		owner := slice.OwnerReferences
		if service := byName[slice.Labels["kubernetes.io/service-name"]]; len(owner) != 1 || owner[0].UID != service.UID {
			t.Errorf("the slice %s is not owned by its Service %s: %v", slice.Name, service.UID, owner)
		}
	}
	endpoints, err := s.Clientset().CoreV1().Endpoints(s.rig.namespace).List(t.Context(), follower)
	mustBe(t, err)
	for _, e := range endpoints.Items {
		if _, there := byName[e.Name]; !there {
			t.Errorf("the Endpoints %s have no Service", e.Name)
		}
	}
	return len(services.Items)
}
