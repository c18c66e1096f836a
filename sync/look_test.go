package sync

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// inspect looks at web once, and fails if that writes.
func inspect(t *testing.T, b *bench) Look {
	t.Helper()
	looks, errs := b.mirror.Inspect(t.Context(), []Key{web}, 2)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	for _, call := range b.take() {
		if !strings.HasPrefix(call, "look up") && !strings.HasPrefix(call, "live") {
			t.Errorf("a look asked for: %s", call)
		}
	}
	return looks[0]
}

func TestALookSeesWhatTheDaemonWouldDo(t *testing.T) {
	source, _ := wholeWeb()
	b := newBench(t, source)
	if got, want := Summary(inspect(t, b).Plan.Changes), "create Service, create EndpointSlice, create Endpoints"; got != want {
		t.Errorf("before: %q, not %q", got, want)
	}
	b.settle(t, web)
	if look := inspect(t, b); len(look.Plan.Changes) > 0 || look.Plan.Verdict != (Verdict{State: Mirrored}) {
		t.Errorf("afterwards: %s, %v", look.Plan.Verdict, look.Plan.Changes)
	}
	b.source.set(func() { delete(b.source.cached, web) })
	if got, want := Summary(inspect(t, b).Plan.Changes), "delete Service, delete EndpointSlice"; got != want {
		t.Errorf("without the Service: %q, not %q", got, want)
	}
}

func TestALookFindsWhatIsOutsideAllWatches(t *testing.T) {
	tests := []struct {
		name  string
		stray Object
	}{
		{"somebody's Service", theirs(&corev1.Service{Spec: corev1.ServiceSpec{ClusterIP: "10.96.0.1"}})},
		{"somebody's Endpoints", theirs(&corev1.Endpoints{})},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			source, _ := wholeWeb()
			b := newBench(t, source)
			b.target.model.put(test.stray)
			if look := inspect(t, b); look.Plan.Verdict.Reason != Conflict || len(look.Plan.Changes) > 0 {
				t.Errorf("%s, %v", look.Plan.Verdict, look.Plan.Changes)
			}
		})
	}
}

func TestALookKnowsTheBrake(t *testing.T) {
	source, _ := wholeWeb()
	b := newBench(t, source)
	b.settle(t, web)
	b.source.set(func() { delete(b.source.cached, web) })
	b.ledger.values = brakeState{tripped: true}.values()
	b.ledger.version++
	look := inspect(t, b)
	if look.Plan.Verdict.Reason != Held || len(look.Plan.Changes) > 0 {
		t.Errorf("%s, %v", look.Plan.Verdict, look.Plan.Changes)
	}
	steps := b.mirror.Steps(look)
	if last := steps[len(steps)-1]; last.Met || !strings.Contains(last.Demand, "brake") {
		t.Errorf("the last step is %+v", last)
	}
}

// TestHeldSaysWhatFor: each cause that withdraws is told, the same by the daemon and by a look.
func TestHeldSaysWhatFor(t *testing.T) {
	tests := []struct {
		name   string
		change func(b *bench, service *corev1.Service)
		want   []string
	}{
		{"the Service is gone", func(b *bench, _ *corev1.Service) { delete(b.source.cached, web) },
			[]string{"its Service is exported no more, but too many others went with it"}},
		{"the Service became an alias", func(_ *bench, service *corev1.Service) {
			service.Spec.Type, service.Spec.ExternalName = corev1.ServiceTypeExternalName, "db.example.com"
		}, []string{"it is refused with ExternalName, but too many", "create the same alias in the other cluster"}},
		{"the namespace was opted out", func(b *bench, _ *corev1.Service) {
			b.target.namespaces["shop"] = &metav1.ObjectMeta{Name: "shop", Labels: map[string]string{LabelExport: OptedOut}}
		}, []string{"it is refused with NamespaceOptedOut, but too many", "remove that label"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			source, _ := wholeWeb()
			b := newBench(t, source)
			b.settle(t, web)
			b.source.set(func() { test.change(b, source.Service) })
			b.ledger.values, b.ledger.version = brakeState{pointers: 30, withdrawn: 15, tripped: true}.values(), 1
			seen := inspect(t, b).Plan.Verdict
			for _, part := range test.want {
				if !strings.Contains(seen.Message, part) {
					t.Errorf("%q is not in: %s", part, seen)
				}
			}
			if verdict, err := b.reconcile(t, web); err != nil || verdict != seen {
				t.Errorf("the daemon says: %s, %v", verdict, err)
			}
		})
	}
}

// TestStepsEndWithTheVerdict: whatever the verdict is, the steps say of all demands before it that they are met, and that
// the one that it is about is not.
func TestStepsEndWithTheVerdict(t *testing.T) {
	tests := []struct {
		name   string
		change func(b *bench, service *corev1.Service)
		want   Step
	}{
		{"what is mirrored meets all", func(*bench, *corev1.Service) {}, Step{"its EndpointSlices carry its label", true}},
		{"an alias", func(_ *bench, service *corev1.Service) { service.Spec.Type = corev1.ServiceTypeExternalName },
			Step{"it is no alias for a DNS name", false}},
		{"no namespace", func(b *bench, _ *corev1.Service) { b.target.namespaces = nil },
			Step{"the target has its namespace, or may get it", false}},
		{"a namespace that goes", func(b *bench, _ *corev1.Service) {
			now := metav1.Now()
			b.target.namespaces["shop"] = &metav1.ObjectMeta{Name: "shop", DeletionTimestamp: &now}
		}, Step{"the target is not deleting its namespace", false}},
		{"a Service without selector and slices", func(b *bench, service *corev1.Service) {
			service.Spec.Selector = nil
			b.source.cached[web] = Source{Service: service}
		}, Step{"its EndpointSlices carry its label", false}},
		{"no slices yet", func(b *bench, service *corev1.Service) { b.source.cached[web] = Source{Service: service} },
			Step{"Kubernetes has made its EndpointSlices", false}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			source, _ := wholeWeb()
			b := newBench(t, source)
			test.change(b, source.Service)
			steps := b.mirror.Steps(inspect(t, b))
			for _, step := range steps[:len(steps)-1] {
				if !step.Met {
					t.Errorf("%s, before the last", step.Demand)
				}
			}
			if diff := cmp.Diff(test.want, steps[len(steps)-1]); diff != "" {
				t.Errorf("the last step (-want +got):\n%s", diff)
			}
		})
	}
}
