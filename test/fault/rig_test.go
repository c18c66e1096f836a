package fault

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"xcc/test/cluster"
	"xcc/test/daemon"
	"xcc/test/proxy"
)

// rig is xcc between two clusters, each behind a proxy, in a namespace of its own that both have.
type rig struct {
	a, b      *side
	namespace string
	// directory has the kubeconfig.
	directory string
	xcc       *daemon.Daemon
	// started is closed while xcc is the daemon that was started last.
	started chan struct{}
}

// side is one of the two clusters, and the way that xcc has to it.
type side struct {
	*member
	*proxy.Proxy
	rig   *rig
	other *side
	start cluster.AuditMark
}

var lastRig atomic.Int64

// newRig makes the namespace and the proxies. xcc does not run yet. When the test ends, the audit logs must show nothing
// that must never be.
func newRig(t *testing.T, p *pair) *rig {
	t.Helper()
	r := &rig{namespace: fmt.Sprintf("fault-%d", lastRig.Add(1)), directory: t.TempDir()}
	r.a, r.b = &side{member: p.east, rig: r}, &side{member: p.west, rig: r}
	r.a.other, r.b.other = r.b, r.a
	for _, s := range []*side{r.a, r.b} {
		mustBe(t, s.CreateNamespace(t.Context(), r.namespace, nil))
		grantLedger(t, s, r.namespace)
		var err error
		s.start, err = s.AuditMark()
		mustBe(t, err)
		certificate, err := s.ServingCertificate()
		mustBe(t, err)
		s.Proxy, err = proxy.Start(context.Background(), proxy.Options{
			Server: s.APIServer.URL, CA: s.access.CertificateAuthority, Certificate: certificate,
		})
		mustBe(t, err)
		t.Cleanup(func() { mustBe(t, s.Proxy.Close()) })
	}
	t.Cleanup(func() {
		for _, s := range []*side{r.a, r.b} {
			checkWrites(t, s, s.start)
		}
	})
	return r
}

// newShop is a rig in which xcc runs and has mirrored two Services of A, cart and till.
func newShop(t *testing.T, flags ...string) *rig {
	t.Helper()
	r := newRig(t, shared)
	r.a.export(t, exported("cart"), r.a.address(1))
	r.a.export(t, exported("till"), r.a.address(2))
	r.run(t, flags...)
	r.a.mirrored(t, "cart", r.a.address(1))
	r.a.mirrored(t, "till", r.a.address(2))
	return r
}

// grantLedger lets xcc keep its Lease and the delete brake's count in the test's own namespace, so that no test trips the
// brake of another.
func grantLedger(t *testing.T, s *side, namespace string) {
	t.Helper()
	role, err := s.Clientset().RbacV1().Roles(daemon.Namespace).Get(t.Context(), "xcc-daemon", metav1.GetOptions{})
	mustBe(t, err)
	_, err = s.Clientset().RbacV1().Roles(namespace).Create(t.Context(), &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Name: role.Name}, Rules: role.Rules,
	}, metav1.CreateOptions{})
	mustBe(t, err)
	_, err = s.Clientset().RbacV1().RoleBindings(namespace).Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: role.Name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: daemon.Namespace, Name: daemon.ServiceAccount}},
	}, metav1.CreateOptions{})
	mustBe(t, err)
}

// flags keep xcc to the test's namespace.
func (r *rig) flags(more ...string) []string {
	return append([]string{"--namespace", r.namespace, "--lease-namespace", r.namespace}, more...)
}

// through is xcc's access by way of the proxy.
func (s *side) through() cluster.Access { return s.access.Through(s.URL()) }

// run starts xcc. When the test ends, it must end in the orderly way, with 0.
func (r *rig) run(t *testing.T, flags ...string) *daemon.Daemon {
	t.Helper()
	return r.runWith(t, r.a.through(), r.b.through(), flags...)
}

func (r *rig) runWith(t *testing.T, a, b cluster.Access, flags ...string) *daemon.Daemon {
	t.Helper()
	r.started = make(chan struct{})
	d, err := daemon.Sync(context.Background(), binary, r.directory, a, b, r.flags(flags...)...)
	mustBe(t, err)
	r.keep(t, d)
	close(r.started)
	return d
}

// runAs starts xcc with the kubeconfig that the test has written into its directory.
func (r *rig) runAs(t *testing.T, environment []string, flags ...string) {
	t.Helper()
	d, err := daemon.Start(context.Background(), daemon.Options{Binary: binary, Environment: environment, Arguments: append([]string{
		"sync", "--kubeconfig", r.kubeconfig(), "--context-a", r.a.Name, "--context-b", r.b.Name, "--listen=",
	}, r.flags(flags...)...)})
	mustBe(t, err)
	r.keep(t, d)
}

func (r *rig) kubeconfig() string { return filepath.Join(r.directory, "kubeconfig") }

// keep makes a daemon the rig's, and ends it with the test unless it was ended before.
func (r *rig) keep(t *testing.T, d *daemon.Daemon) {
	t.Helper()
	r.xcc = d
	t.Cleanup(func() {
		select {
		case <-d.Exited():
		default:
			terminate(t, d)
		}
		if t.Failed() {
			t.Logf("the last lines of xcc's log:\n%s", lastLines(d.Log(), 60))
		}
	})
}

// terminate ends xcc in the orderly way. The race detector would make 66 of the 0.
func terminate(t *testing.T, d *daemon.Daemon) {
	t.Helper()
	code, err := d.Terminate(context.Background())
	mustBe(t, err)
	if code != 0 {
		t.Errorf("xcc exited with %d, not 0", code)
	}
}

// restart kills xcc and starts it again.
func (r *rig) restart(t *testing.T, flags ...string) {
	t.Helper()
	mustBe(t, r.xcc.Kill())
	r.run(t, flags...)
}

// once runs `xcc sync --once` and gives its exit code and what it wrote.
func (r *rig) once(t *testing.T, flags ...string) (int, string) {
	t.Helper()
	d, err := daemon.Sync(t.Context(), binary, t.TempDir(), r.a.through(), r.b.through(), r.flags(append(flags, "--once")...)...)
	mustBe(t, err)
	code, err := d.Wait(t.Context())
	mustBe(t, err)
	return code, d.Log()
}

// logged waits until a line of xcc's log has all of those texts.
func (r *rig) logged(t *testing.T, texts ...string) {
	t.Helper()
	loggedSince(t, r.xcc, 0, texts...)
}

// loggedSince is logged for the lines that came after so many bytes.
func loggedSince(t *testing.T, d *daemon.Daemon, since int, texts ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), noticing)
	defer cancel()
	mustBe(t, cluster.Eventually(ctx, fmt.Sprintf("xcc logs %q", texts), func(context.Context) error {
		for _, line := range strings.Split(d.Log()[since:], "\n") {
			if containsAll(line, texts) {
				return nil
			}
		}
		return errors.New("it has not")
	}))
}

func containsAll(line string, texts []string) bool {
	for _, text := range texts {
		if !strings.Contains(line, text) {
			return false
		}
	}
	return true
}

// ledger is what the delete brake keeps in a target about the other side; nil where there is nothing yet.
func (s *side) ledger(ctx context.Context) (map[string]string, error) {
	all, err := s.Clientset().CoreV1().ConfigMaps(s.rig.namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	for _, found := range all.Items {
		if found.Name == "xcc-brake-"+string(s.other.uid) {
			return found.Data, nil
		}
	}
	return nil, nil
}

// tripped waits until the ledger of a target says whether its brake holds.
func (s *side) tripped(t *testing.T, want string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), noticing)
	defer cancel()
	mustBe(t, cluster.Eventually(ctx, "the brake's ledger says tripped "+want, func(ctx context.Context) error {
		values, err := s.ledger(ctx)
		if err == nil && values["tripped"] != want {
			err = fmt.Errorf("it says %v", values)
		}
		return err
	}))
}

// fillUp makes a cluster's resourceVersion go on.
func (s *side) fillUp(t *testing.T, count int) {
	t.Helper()
	maps := s.Clientset().CoreV1().ConfigMaps(s.rig.namespace)
	for range count {
		_, err := maps.Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{GenerateName: "filler-"}}, metav1.CreateOptions{})
		mustBe(t, err)
	}
}

func lastLines(text string, count int) string {
	all := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(all[max(0, len(all)-count):], "\n")
}

// asked waits until xcc has made some more calls through a proxy than it had: it has tried, and met what is there.
func (r *rig) asked(t *testing.T, s *side, before int) {
	t.Helper()
	mustBe(t, cluster.Eventually(t.Context(), "xcc asks "+s.Name+" again", func(context.Context) error {
		if more := len(s.Calls()) - before; more < 4 {
			return fmt.Errorf("%d calls", more)
		}
		return nil
	}))
}

// listed waits until xcc has been given a list of all exported objects of a resource, after so many calls.
func (r *rig) listed(t *testing.T, s *side, resource string, before int) {
	t.Helper()
	mustBe(t, cluster.Eventually(t.Context(), "xcc lists the "+resource+" of "+s.Name, func(context.Context) error {
		for _, call := range s.Calls()[before:] {
			if call.Is(resource, "list", "watch") && call.Namespace == "" && call.Name == "" && call.Status == 200 {
				return nil
			}
		}
		return errors.New("it has not")
	}))
}
