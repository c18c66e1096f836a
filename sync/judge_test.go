package sync

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestJudge(t *testing.T) {
	foreign := func(kind Kind) *Copy {
		return &Copy{Kind: kind, Namespace: web.Namespace, Name: web.Name, UID: "theirs", ResourceVersion: "3"}
	}
	owned := func(kind Kind) *Copy {
		c := foreign(kind)
		c.Follower, c.OriginCluster, c.ManagedBy = true, blue, ManagedBy
		return c
	}
	namespace := func(edit func(*metav1.ObjectMeta)) Target {
		target := targetOf()
		target.Namespace = shop.DeepCopy()
		edit(target.Namespace)
		return target
	}
	creating := rules(func(r *Rules) { r.CreateNamespaces = true })
	externalName := func(service *corev1.Service) {
		service.Spec.Type, service.Spec.ExternalName = corev1.ServiceTypeExternalName, "db.example.com"
	}
	echo := func(service *corev1.Service) {
		service.Annotations = map[string]string{AnnotationOriginCluster: string(green)}
	}
	tests := []struct {
		name   string
		rules  Rules
		source Source
		target Target
		want   Verdict
	}{
		{"no exported Service: withdrawn", rules(), Source{}, targetOf(), Verdict{State: Withdrawn}},
		{"slices without their Service mean nothing", rules(), sourceOf(nil, sliceOf("web-1", ready("10.0.0.1"))), targetOf(), Verdict{State: Withdrawn}},
		{"a pointer that somebody exports: withdrawn", rules(), sourceOf(exported(echo)), targetOf(), Verdict{State: Withdrawn}},
		{"kube-system is reserved", rules(), sourceOf(exported(named("kube-system", "web"))), targetOf(), Verdict{State: Refused, Reason: ReservedNamespace}},
		{"every namespace of Kubernetes is reserved", rules(), sourceOf(exported(named("kube-public", "web"))), targetOf(), Verdict{State: Refused, Reason: ReservedNamespace}},
		{"a namespace that only sounds like it is not", rules(), sourceOf(exported(named("kubernetes-shop", "web"))), targetOf(), Verdict{State: Mirrored}},
		{"the Service of the API server is reserved", rules(), sourceOf(exported(named("default", "kubernetes"))), targetOf(), Verdict{State: Refused, Reason: ReservedNamespace}},
		{"its name is free in other namespaces", rules(), sourceOf(exported(named("shop", "kubernetes"))), targetOf(), Verdict{State: Mirrored}},
		{"its namespace is free for other names", rules(), sourceOf(exported(named("default", "web"))), targetOf(), Verdict{State: Mirrored}},
		{"an alias is refused", rules(), sourceOf(exported(externalName)), targetOf(), Verdict{State: Refused, Reason: ExternalName}},
		{"exported by both", rules(), sourceOf(exported()), Target{Namespace: shop, Network: dualStack, Native: sourceOf(exported())}, Verdict{State: Refused, Reason: ExportedByBoth}},
		{"the namespace is missing", rules(), sourceOf(exported()), Target{Network: dualStack}, Verdict{State: Refused, Reason: NamespaceMissing}},
		{"a missing namespace may be created", creating, sourceOf(exported()), Target{Network: dualStack}, Verdict{State: Mirrored}},
		{
			"the namespace is going", creating, sourceOf(exported()),
			namespace(func(meta *metav1.ObjectMeta) { meta.DeletionTimestamp = &metav1.Time{} }),
			Verdict{State: Refused, Reason: NamespaceTerminating},
		},
		{
			"the namespace opted out", rules(), sourceOf(exported()),
			namespace(func(meta *metav1.ObjectMeta) { meta.Labels = map[string]string{LabelExport: OptedOut} }),
			Verdict{State: Refused, Reason: NamespaceOptedOut},
		},
		{
			"another value of the label is no opting out", rules(), sourceOf(exported()),
			namespace(func(meta *metav1.ObjectMeta) { meta.Labels = map[string]string{LabelExport: "true"} }),
			Verdict{State: Mirrored},
		},
		{
			"no family in common", rules(), sourceOf(exported(families(corev1.IPv6Protocol))),
			Target{Namespace: shop, Network: ipv4Only}, Verdict{State: Refused, Reason: NoSharedIPFamily},
		},
		{
			"one family in common is enough", rules(), sourceOf(exported(families(corev1.IPv6Protocol, corev1.IPv4Protocol))),
			Target{Namespace: shop, Network: ipv4Only}, Verdict{State: Mirrored},
		},
		{"somebody's Service has the name", rules(), sourceOf(exported()), targetOf(foreign(KindService)), Verdict{State: Refused, Reason: Conflict}},
		{"a pointer from a third cluster has the name", rules(), sourceOf(exported()), targetOf(func() *Copy {
			c := owned(KindService)
			c.OriginCluster = "uid-of-red"
			return c
		}()), Verdict{State: Refused, Reason: Conflict}},
		{"somebody's Endpoints wait for a Service", rules(), sourceOf(exported()), targetOf(foreign(KindEndpoints)), Verdict{State: Refused, Reason: Conflict}},
		{"Endpoints beside our Service do not stop it", rules(), sourceOf(exported()), targetOf(foreign(KindEndpoints), owned(KindService)), Verdict{State: Mirrored}},
		{"somebody's slice is not in the way of a Service", rules(), sourceOf(exported()), targetOf(foreign(KindEndpointSlice)), Verdict{State: Mirrored}},
		{"our own pointer is not in the way", rules(), sourceOf(exported()), targetOf(owned(KindService), owned(KindEndpointSlice), owned(KindEndpoints)), Verdict{State: Mirrored}},
		{"all is well", rules(), sourceOf(exported()), targetOf(), Verdict{State: Mirrored}},

		// The order of the rules: of two that apply, the one that stands first is the verdict.
		{
			"reserved goes before alias", rules(), sourceOf(exported(named("kube-system", "web"), externalName)), targetOf(),
			Verdict{State: Refused, Reason: ReservedNamespace},
		},
		{
			"alias goes before exported by both", rules(), sourceOf(exported(externalName)), Target{Native: sourceOf(exported())},
			Verdict{State: Refused, Reason: ExternalName},
		},
		{
			"exported by both goes before the namespace", rules(), sourceOf(exported()), Target{Native: sourceOf(exported())},
			Verdict{State: Refused, Reason: ExportedByBoth},
		},
		{
			"the namespace goes before the families", rules(), sourceOf(exported()), Target{},
			Verdict{State: Refused, Reason: NamespaceMissing},
		},
		{
			"the families go before a conflict", rules(), sourceOf(exported(families(corev1.IPv6Protocol))),
			Target{Namespace: shop, Network: ipv4Only, Copies: []*Copy{foreign(KindService)}},
			Verdict{State: Refused, Reason: NoSharedIPFamily},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := test.rules.judge(test.source, test.target)
			if diff := cmp.Diff(test.want, got, cmpopts.IgnoreFields(Verdict{}, "Message")); diff != "" {
				t.Errorf("verdict (-want +got):\n%s", diff)
			}
			if got.State == Refused && got.Message == "" {
				t.Error("a refusal without a word on what clears it")
			}
		})
	}
}
