package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"xcc/test/cluster"
	"xcc/test/daemon"
)

// grant gives a ServiceAccount of both clusters those rights in all namespaces, for as long as the test runs.
func grant(t *testing.T, namespace, account, role string, rules ...rbacv1.PolicyRule) {
	t.Helper()
	for _, c := range []*cluster.Cluster{east, west} {
		rbac := c.Clientset().RbacV1()
		_, err := rbac.ClusterRoles().Create(t.Context(), &rbacv1.ClusterRole{
			ObjectMeta: metav1.ObjectMeta{Name: role}, Rules: rules,
		}, metav1.CreateOptions{})
		mustBe(t, err)
		_, err = rbac.ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: role},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
			Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: account}},
		}, metav1.CreateOptions{})
		mustBe(t, err)
		t.Cleanup(func() {
			mustBe(t, rbac.ClusterRoleBindings().Delete(context.Background(), role, metav1.DeleteOptions{}))
			mustBe(t, rbac.ClusterRoles().Delete(context.Background(), role, metav1.DeleteOptions{}))
		})
	}
}

// grantNamespaces gives xcc what --create-namespaces needs besides, for as long as the test runs.
func grantNamespaces(t *testing.T) {
	t.Helper()
	for _, c := range []*cluster.Cluster{east, west} {
		_, err := daemon.Grant(t.Context(), c, daemon.All, isMarksPolicy)
		mustBe(t, err)
		t.Cleanup(func() {
			binding := "xcc-create-namespaces"
			mustBe(t, c.Clientset().RbacV1().ClusterRoleBindings().Delete(context.Background(), binding, metav1.DeleteOptions{}))
		})
	}
}

// narrowUser is an identity that may read Services and Endpoints, and nothing else.
const narrowUser = "system:serviceaccount:xcc:narrow"

// narrowAccess is the access of narrowUser.
func narrowAccess(t *testing.T, c *cluster.Cluster) cluster.Access {
	t.Helper()
	_, err := c.Clientset().CoreV1().ServiceAccounts("xcc").Create(t.Context(),
		&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "narrow"}}, metav1.CreateOptions{})
	mustBe(t, err)
	access, err := c.ServiceAccount(t.Context(), "xcc", "narrow", time.Hour)
	mustBe(t, err)
	return access
}

func TestNarrowSourceToken(t *testing.T) {
	grant(t, "xcc", "narrow", "narrow", rbacv1.PolicyRule{
		APIGroups: []string{""}, Resources: []string{"services", "endpoints"}, Verbs: []string{"get", "list", "watch"},
	})
	for _, test := range []struct {
		sentence string
		way      int
		flags    []string
		a, b     cluster.Access
	}{
		{"a token that may read only Services and Endpoints is enough for side A in a-to-b", 0,
			[]string{"--direction", "a-to-b"}, narrowAccess(t, east), westAccess},
		{"a token that may read only Services and Endpoints is enough for side B in b-to-a", 1,
			[]string{"--direction", "b-to-a"}, eastAccess, narrowAccess(t, west)},
	} {
		t.Run(test.sentence, func(t *testing.T) {
			t.Parallel()
			ways := newWays(t)
			xcc := startDaemonWith(t, test.a, test.b, only(ways, test.flags...)...)
			w, other := ways[test.way], ways[1-test.way]
			w.xcc, other.xcc = xcc, xcc
			// The token may not read the namespace kube-system, so the Service of the API server identifies the cluster.
			api, err := w.from.Clientset().CoreV1().Services("default").Get(t.Context(), "kubernetes", metav1.GetOptions{})
			mustBe(t, err)
			w.origin.cluster = api.UID
			asInEndpoints := func(want *pointer) {
				// Endpoints don't say whether an address is serving or terminating.
				for i := range want.Slices {
					for j := range want.Slices[i].Endpoints {
						endpoint := &want.Slices[i].Endpoints[j]
						endpoint.Conditions.Serving, endpoint.Conditions.Terminating = nil, nil
					}
				}
				*want = normal(*want)
			}

			other.create(t, exported("cart"))
			w.create(t, headless(exported("db")))
			w.eventually(t, "db", addresses(w.runWith(t, cluster.PodOptions{Name: "db", Count: 2, Subdomain: "db"})), asInEndpoints)
			w.create(t, exported("cart"))
			pods := w.run(t, "cart", 0, 3)
			w.eventually(t, "cart", addresses(pods), asInEndpoints)
			mustBe(t, w.from.SetReady(t.Context(), w.namespace, "cart-1", false))
			w.eventually(t, "cart", addresses([]corev1.Pod{pods[0], pods[2]}), asInEndpoints)
			for _, pod := range pods {
				mustBe(t, w.from.SetReady(t.Context(), w.namespace, pod.Name, false))
			}
			w.eventually(t, "cart", []string{}, asInEndpoints)
			w.label(t, "cart", "")
			w.gone(t, "cart")
			other.absent(t, "cart")
			// What it may not read it notes, if it does, with the next look at whether all is well.
			w.probed(t)
			wantLogs(t, xcc.Log(), map[string]int{"1,000 addresses": 1, "level=error": 0})
		})
	}

	t.Run("once is enough with it, too", func(t *testing.T) {
		ways := newWays(t)
		w := ways[0]
		w.create(t, exported("cart"))
		pods := w.run(t, "cart", 0, 3)
		settled(t, w.from, w.namespace, "cart", pods)
		narrow, err := east.ServiceAccount(t.Context(), "xcc", "narrow", time.Hour)
		mustBe(t, err)
		arguments := syncArguments(t, narrow, westAccess, only(ways, "--once", "--direction", "a-to-b")...)
		if code, log := runXCC(t, nil, arguments...); code != 0 {
			t.Fatalf("xcc exited with %d:\n%s", code, log)
		}
		found, err := find(t.Context(), w.into, w.namespace, "cart")
		mustBe(t, err)
		mustBe(t, equal(addresses(pods), found.readyAddresses()))
	})
}

// probed waits until xcc has looked again at whether the source is alive and the cluster that it was, and has had time to
// log what it found: until it has begun to look once more. It looks at new connections as well, several times at once.
func (w *way) probed(t *testing.T) {
	t.Helper()
	here := mark(t)
	mustBe(t, cluster.Eventually(t.Context(), "xcc looks at "+w.from.Name, func(context.Context) error {
		events, err := w.from.Audit(here[w.from])
		if err != nil {
			return err
		}
		var last time.Time
		looks := 0
		for _, event := range events {
			isLook := event.User == narrowUser && event.Verb == "list" && event.Resource == "services" && event.Namespace == "default"
			if isLook && event.Received.Sub(last) > 2*time.Second {
				last = event.Received
				looks++
			}
		}
		if looks < 3 {
			return fmt.Errorf("%d looks", looks)
		}
		return nil
	}))
}
