package sync

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"pgregory.net/rapid"
)

func TestShuffledInputGivesTheSameBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, network, source := drawRules(t), drawNetwork(t), drawSource(t)
		target := drawTarget(t, r, network).target(r, web, network)
		reordered := target
		reordered.Copies = permuted(t, target.Copies)
		want := marshal(t, r.Plan(source, target))
		got := marshal(t, r.Plan(shuffled(t, source), reordered))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("another order of the input gives another plan:\n%s", diff)
		}
	})
}

func marshal(t *rapid.T, plan Plan) string {
	t.Helper()
	text, err := json.MarshalIndent(plan, "", " ")
	if err != nil {
		t.Fatalf("marshal: %v", err)
	}
	return string(text)
}

func TestPointersExportNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, network := drawRules(t), drawNetwork(t)
		green := newModel(network)
		converge(t, green, r, network, drawSource(t))
		var echo Source
		for _, name := range sortedKeys(green.objects) {
			object := deepCopy(green.objects[name])
			if rapid.Bool().Draw(t, "somebody labels "+name) {
				object.GetLabels()[LabelExport] = Exported
			}
			switch object := object.(type) {
			case *corev1.Service:
				echo.Service = object
			case *discoveryv1.EndpointSlice:
				echo.Slices = append(echo.Slices, object)
			}
		}
		back := Rules{Cluster: "uid-of-green", Name: "green", EndpointsAPI: Both, CreateNamespaces: true}
		if plan := back.Plan(echo, newModel(network).target(back, web, network)); len(plan.Changes) > 0 || plan.Verdict.State != Withdrawn {
			t.Fatalf("the pointer goes back to where it came from: %s: %v", plan.Verdict, describe(plan.Changes))
		}
		// The same slices under a Service of green's own add nothing to what that exports.
		own := sourceOf(exported(withoutSelector), echo.Slices...)
		if pointer := back.project(own, Target{Network: dualStack}); pointer.Total > 0 {
			t.Fatalf("a Service in green exports %d addresses of blue", pointer.Total)
		}
	})
}

func TestEveryWrittenAddressIsAllowed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, network, source := drawRules(t), drawNetwork(t), drawSource(t)
		rule := AddressRule{Allowed: r.Allowed, ServiceCIDRs: network.ServiceCIDRs}
		for _, change := range r.Plan(source, drawTarget(t, r, network).target(r, web, network)).Changes {
			for _, text := range addressesOf(change.Object) {
				if address, ok := canonical(text); !ok || address.String() != text || !rule.permits(address) {
					t.Fatalf("%s has the address %s", change, text)
				}
			}
		}
	})
}

func addressesOf(object Object) []string {
	var all []string
	switch object := object.(type) {
	case *discoveryv1.EndpointSlice:
		for _, endpoint := range object.Endpoints {
			all = append(all, endpoint.Addresses...)
		}
	case *corev1.Endpoints:
		for _, subset := range object.Subsets {
			for _, address := range append(subset.Addresses, subset.NotReadyAddresses...) {
				all = append(all, address.IP)
			}
		}
	}
	return all
}

func TestPointerIsAlwaysHarmless(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, network, source := drawRules(t), drawNetwork(t), drawSource(t)
		green := drawTarget(t, r, network)
		converge(t, green, r, network, source)
		for _, name := range sortedKeys(green.objects) {
			service, ok := green.objects[name].(*corev1.Service)
			if !ok || !r.owns(r.Observe(service)) {
				continue
			}
			spec := service.Spec
			if spec.Type != corev1.ServiceTypeClusterIP || len(spec.Selector) > 0 || len(spec.ExternalIPs) > 0 || len(service.Finalizers) > 0 || spec.Ports[0].NodePort != 0 {
				t.Fatalf("the pointer's Service is %+v", service)
			}
		}
	})
}
