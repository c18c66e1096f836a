package e2e

import (
	"context"
	"fmt"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"xcc/test/cluster"
)

// xccUser is the identity of the manifests.
const xccUser = "system:serviceaccount:xcc:xcc"

// marks are places in the audit logs of both clusters.
type marks map[*cluster.Cluster]cluster.AuditMark

// mark is the present end of both logs.
func mark(t *testing.T) marks {
	t.Helper()
	here := marks{}
	for _, c := range []*cluster.Cluster{east, west} {
		end, err := c.AuditMark()
		mustBe(t, err)
		here[c] = end
	}
	return here
}

// requests are what xcc has asked of a cluster about the objects of a namespace since the marks, in the order in which
// the cluster was done with it: "update endpoints". Watches are left out: they concern all namespaces, and are there all
// the time.
func (m marks) requests(t *testing.T, c *cluster.Cluster, namespace string) []string {
	t.Helper()
	return m.chosen(t, c, func(event cluster.AuditEvent) bool { return event.Namespace == namespace })
}

// writesAnywhere are the requests of xcc since the marks that ask for any change, in all namespaces and outside them.
// To ask what one may do is in the form of a write, and leaves nothing behind.
func (m marks) writesAnywhere(t *testing.T, c *cluster.Cluster) []string {
	t.Helper()
	return m.chosen(t, c, func(event cluster.AuditEvent) bool {
		return event.Write() && event.Resource != "selfsubjectaccessreviews"
	})
}

func (m marks) chosen(t *testing.T, c *cluster.Cluster, isChosen func(cluster.AuditEvent) bool) []string {
	t.Helper()
	events, err := c.Audit(m[c])
	mustBe(t, err)
	asked := []string{}
	for _, event := range events {
		if event.User == xccUser && event.Verb != "watch" && isChosen(event) {
			asked = append(asked, event.Verb+" "+event.Resource)
		}
	}
	return asked
}

// wantRequests compares all that xcc has asked a cluster for in a namespace since the marks, reads and writes.
func (m marks) wantRequests(t *testing.T, c *cluster.Cluster, namespace string, want ...string) {
	t.Helper()
	m.want(t, c, namespace, func() []string { return m.requests(t, c, namespace) }, want)
}

// wantWrites compares the writes among them.
func (m marks) wantWrites(t *testing.T, c *cluster.Cluster, namespace string, want ...string) {
	t.Helper()
	m.want(t, c, namespace, func() []string {
		return m.chosen(t, c, func(event cluster.AuditEvent) bool { return event.Namespace == namespace && event.Write() })
	}, want)
}

// want waits until there are as many requests as are wanted, because the log may lag a moment behind what can be seen.
func (m marks) want(t *testing.T, c *cluster.Cluster, namespace string, requests func() []string, want []string) {
	t.Helper()
	what := fmt.Sprintf("%d requests of xcc about namespace %s in %s", len(want), namespace, c.Name)
	mustBe(t, cluster.Eventually(t.Context(), what, func(context.Context) error {
		if got := requests(); len(got) < len(want) {
			return fmt.Errorf("only %q", got)
		}
		return nil
	}))
	if diff := gocmp.Diff(want, requests(), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("xcc's requests about namespace %s in %s (-want +got):\n%s", namespace, c.Name, diff)
	}
}
