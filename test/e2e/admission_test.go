package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"xcc/test/cluster"
	"xcc/test/daemon"
)

// admissionPair is a pair of clusters of its own: the others are without the policy that keeps the marks.
type admissionPair struct {
	north, south *cluster.Cluster
	access       map[*cluster.Cluster]cluster.Access
}

func TestAdmission(t *testing.T) {
	p := newAdmissionPair(t)
	t.Run("without the policies", p.missing)
	for _, c := range []*cluster.Cluster{p.north, p.south} {
		_, err := daemon.Grant(t.Context(), c, least, nil)
		mustBe(t, err)
	}
	p.waitForPolicies(t)
	t.Run("the types in the policies are right", p.typesAreRight)
	t.Run("attacks with xcc's identity", p.deniesXCC)
	t.Run("what others do", p.deniesOthers)
	t.Run("what Kubernetes does", p.admitsControllers)
	t.Run("what xcc adds to a Service whose owner asks for it", p.boundsJoins)
	t.Run("what xcc does", p.admitsTheDaemon)
}

// newAdmissionPair starts two clusters without the policies.
func newAdmissionPair(t *testing.T) *admissionPair {
	t.Helper()
	ctx := t.Context()
	// Besides the harness's controllers, the one that checks the types in policies.
	controllers := "--controllers=endpoints-controller,endpointslice-controller,endpointslice-mirroring-controller,garbage-collector-controller," +
		"namespace-controller,root-ca-certificate-publisher-controller,serviceaccount-controller,serviceaccount-token-controller," +
		"validatingadmissionpolicy-status-controller"
	north, south, err := cluster.StartPair(ctx,
		cluster.Options{Name: "north", Audit: cluster.AuditMetadata},
		cluster.Options{Name: "south", ControllerManagerFlags: []string{controllers}})
	mustBe(t, err)
	t.Cleanup(func() {
		mustBe(t, errors.Join(north.Stop(context.Background()), south.Stop(context.Background())))
	})
	p := &admissionPair{north: north, south: south, access: map[*cluster.Cluster]cluster.Access{}}
	for _, c := range []*cluster.Cluster{north, south} {
		p.access[c], err = daemon.Grant(ctx, c, least, isPolicy)
		mustBe(t, err)
		for _, namespace := range []string{"shop", "from-north", "from-south"} {
			mustBe(t, c.CreateNamespace(ctx, namespace, nil))
		}
	}
	return p
}

func isPolicy(kind, _ string) bool { return strings.HasPrefix(kind, "ValidatingAdmissionPolicy") }

// way is one direction, in one of the namespaces that both clusters have.
func (p *admissionPair) way(t *testing.T, namespace string, from, into *cluster.Cluster) *way {
	t.Helper()
	system, err := from.Clientset().CoreV1().Namespaces().Get(t.Context(), metav1.NamespaceSystem, metav1.GetOptions{})
	mustBe(t, err)
	return &way{from: from, into: into, namespace: namespace, origin: origin{system.UID, from.Name}}
}

// typesAreRight waits until the API server's side has checked the types in the policies; it must find nothing.
func (p *admissionPair) typesAreRight(t *testing.T) {
	mustBe(t, cluster.Eventually(t.Context(), "the policies are checked", func(ctx context.Context) error {
		policies, err := p.south.Clientset().AdmissionregistrationV1().ValidatingAdmissionPolicies().List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		checked := 0
		for _, policy := range policies.Items {
			if policy.Status.ObservedGeneration == policy.Generation && policy.Status.TypeChecking != nil {
				checked++
				for _, warning := range policy.Status.TypeChecking.ExpressionWarnings {
					t.Errorf("%s: %s: %s", policy.Name, warning.FieldRef, warning.Warning)
				}
			}
		}
		if checked != 3 {
			return fmt.Errorf("%d of 3 are", checked)
		}
		return nil
	}))
}

// waitForPolicies waits until all policies are in force in both clusters. Nothing is written: the requests are dry runs.
func (p *admissionPair) waitForPolicies(t *testing.T) {
	t.Helper()
	dryRun := metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}
	for c, access := range p.access {
		xcc := clientAs(t, access.RESTConfig(), rest.ImpersonationConfig{}).CoreV1()
		admin := c.Clientset().CoreV1()
		for policy, attack := range map[string]func(context.Context) error{
			"xcc-identity": func(ctx context.Context) error {
				_, err := xcc.Services("default").Create(ctx, plainService("probe"), dryRun)
				return err
			},
			"xcc-identity-endpoints": func(ctx context.Context) error {
				_, err := xcc.Endpoints("default").Create(ctx, markedEndpoints("kubernetes"), dryRun)
				return err
			},
			"xcc-marks": func(ctx context.Context) error {
				_, err := admin.Services("default").Create(ctx, markedService("probe"), dryRun)
				return err
			},
		} {
			mustBe(t, cluster.Eventually(t.Context(), policy+" is in force in "+c.Name, func(ctx context.Context) error {
				return isDenied(attack(ctx), policy)
			}))
		}
	}
}

// isDenied fails unless an error is the refusal of that policy, or of one that completes it and has its name with a suffix:
// where several deny a request, the API server names any of them.
func isDenied(err error, policy string) error {
	if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "ValidatingAdmissionPolicy '"+policy) {
		return fmt.Errorf("not denied by %s, but: %v", policy, err)
	}
	return nil
}
