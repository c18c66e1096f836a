package fault

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// refuseServices lets nobody create a Service in the target's namespace. There is no quota controller: its status is
// written here, and obeyed by the API server's admission.
func refuseServices(t *testing.T, r *rig) string {
	t.Helper()
	quotas := r.b.Clientset().CoreV1().ResourceQuotas(r.namespace)
	none := corev1.ResourceList{corev1.ResourceServices: resource.MustParse("0")}
	quota, err := quotas.Create(t.Context(), &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Name: "none"}, Spec: corev1.ResourceQuotaSpec{Hard: none},
	}, metav1.CreateOptions{})
	mustBe(t, err)
	quota.Status = corev1.ResourceQuotaStatus{Hard: none, Used: none}
	_, err = quotas.UpdateStatus(t.Context(), quota, metav1.UpdateOptions{})
	mustBe(t, err)
	return quota.Name
}

// throttled gives the first line in which client-go says that it waits by its own choice.
func throttled(log string) string {
	for _, line := range strings.Split(log, "\n") {
		if strings.Contains(line, "client-side throttling") {
			return line
		}
	}
	return ""
}

// fenceElsewhere is a fence in a second namespace of the test, which has no quota.
func (s *side) fenceElsewhere(t *testing.T) {
	t.Helper()
	elsewhere := *s.rig
	elsewhere.namespace += "-too"
	from, into := *s, *s.other
	from.rig, into.rig = &elsewhere, &elsewhere
	from.other, into.other = &into, &from
	from.fence(t)
}

// more is a second namespace for the test, in both clusters; call it before xcc runs.
func (r *rig) more(t *testing.T) []string {
	t.Helper()
	name := fmt.Sprintf("%s-too", r.namespace)
	for _, s := range []*side{r.a, r.b} {
		mustBe(t, s.CreateNamespace(t.Context(), name, nil))
	}
	return []string{"--namespace", name}
}
