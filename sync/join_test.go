package sync

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
)

func TestJudgeNamesThatBothExport(t *testing.T) {
	port := func(name string, protocol corev1.Protocol, number int32) corev1.ServicePort {
		return corev1.ServicePort{Name: name, Protocol: protocol, Port: number}
	}
	ports := func(ports ...corev1.ServicePort) func(*corev1.Service) {
		return func(service *corev1.Service) { service.Spec.Ports = ports }
	}
	typed := func(kind corev1.ServiceType) func(*corev1.Service) {
		return func(service *corev1.Service) { service.Spec.Type = kind }
	}
	type edits = []func(*corev1.Service)
	tests := []struct {
		name        string
		here, there edits
		want        Reason
		says        string
	}{
		{"no mode on either", nil, nil, ExportedByBoth, AnnotationMode},
		{"the default mode on both is as none", edits{mode(ModePointer)}, nil, ExportedByBoth, AnnotationMode},
		{"join on both", edits{mode(ModeJoin)}, edits{mode(ModeJoin)}, "", ""},
		{"failover on both", edits{mode(ModeFailover)}, edits{mode(ModeFailover)}, "", ""},
		{"a mode here only", edits{mode(ModeJoin)}, nil, ModesDisagree, "join here and pointer in the other cluster"},
		{"a mode there only", nil, edits{mode(ModeFailover)}, ModesDisagree, "pointer here and failover in the other cluster"},
		{"two modes", edits{mode(ModeJoin)}, edits{mode(ModeFailover)}, ModesDisagree, "join here and failover in the other cluster"},
		{"an unknown word here", edits{mode("jion")}, edits{mode(ModeJoin)}, ModesDisagree, `its annotation fair.com/cross-cluster-mode is "jion"`},
		{"an unknown word there", edits{mode(ModeJoin)}, edits{mode("jion")}, ModesDisagree, `in the other cluster the annotation fair.com/cross-cluster-mode is "jion"`},
		{"the same unknown word", edits{mode("jion")}, edits{mode("jion")}, ModesDisagree, `"jion"`},
		{"a NodePort and a LoadBalancer", edits{mode(ModeJoin), typed(corev1.ServiceTypeNodePort)}, edits{mode(ModeJoin), typed(corev1.ServiceTypeLoadBalancer)}, "", ""},
		{"headless here", edits{mode(ModeJoin), headless}, edits{mode(ModeJoin)}, NotJoinable, "the Service here"},
		{"headless there", edits{mode(ModeJoin)}, edits{mode(ModeJoin), headless}, NotJoinable, "the Service in the other cluster"},
		{"no selector here", edits{mode(ModeJoin), withoutSelector}, edits{mode(ModeJoin)}, NotJoinable, "the Service here"},
		{"no selector there", edits{mode(ModeJoin)}, edits{mode(ModeJoin), withoutSelector}, NotJoinable, "the Service in the other cluster"},
		{"an alias there", edits{mode(ModeJoin)}, edits{mode(ModeJoin), typed(corev1.ServiceTypeExternalName)}, NotJoinable, "the Service in the other cluster"},
		{
			"ports of the same names with other numbers",
			edits{mode(ModeJoin), ports(port("http", "TCP", 80), port("dns", "UDP", 53))}, edits{mode(ModeJoin), ports(port("dns", "UDP", 5353), port("http", "", 8080))}, "", "",
		},
		{
			"a port here only", edits{mode(ModeJoin), ports(port("http", "TCP", 80), port("admin", "TCP", 81))}, edits{mode(ModeJoin)},
			PortConflict, "(only here: admin/TCP)",
		},
		{
			"ports of other names and protocols", edits{mode(ModeJoin), ports(port("", "UDP", 53))}, edits{mode(ModeJoin), ports(port("web", "TCP", 80), port("dns", "UDP", 53))},
			PortConflict, "(only here: (unnamed)/UDP; only in the other cluster: dns/UDP, web/TCP)",
		},
		{"one family in common", edits{mode(ModeJoin), families(corev1.IPv6Protocol, corev1.IPv4Protocol)}, edits{mode(ModeJoin)}, "", ""},
		{"no family in common", edits{mode(ModeJoin), families(corev1.IPv6Protocol)}, edits{mode(ModeJoin)}, NoSharedIPFamily, "the Service in the other cluster has [IPv4]"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			want := Verdict{State: Mirrored}
			if test.want != "" {
				want = Verdict{State: Refused, Reason: test.want}
			}
			got := rules().judge(sourceOf(exported(test.here...)), joinedTarget(sourceOf(native(test.there...))))
			if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(Verdict{}, "Message")); diff != "" {
				t.Errorf("verdict (-want +got):\n%s", diff)
			}
			if !strings.Contains(got.Message, test.says) {
				t.Errorf("it says %q, and not %q", got.Message, test.says)
			}
		})
	}
}

func TestOneSidedExportIsAPointerWhateverItsMode(t *testing.T) {
	for _, mode := range []func(*corev1.Service){mode(ModeJoin), mode(ModeFailover), mode("jion")} {
		plan := rules().Plan(sourceOf(exported(mode), sliceOf("web-1", ready("10.0.0.1"))), targetOf())
		if plan.Verdict != (Verdict{State: Mirrored}) || plan.Pointer.Service == nil {
			t.Errorf("%s", plan.Verdict)
		}
	}
}

// ofJoin is what stands in green of a source's slices, on the native Service.
func ofJoin(r Rules, source Source, native Source) []*Copy {
	var copies []*Copy
	for _, slice := range r.projectJoined(source, joinedTarget(native)).Slices {
		copies = append(copies, r.Observe(stands(slice, types.UID(slice.Name), "12")))
	}
	return copies
}

func TestStance(t *testing.T) {
	own := func(count int) []*discoveryv1.EndpointSlice {
		addresses := []string{"10.9.0.1", "10.9.0.2", "10.9.0.3"}
		slice := sliceOf("web-n", notReady("10.9.0.9"))
		for _, address := range addresses[:count] {
			slice.Endpoints = append(slice.Endpoints, ready(address))
		}
		return []*discoveryv1.EndpointSlice{slice}
	}
	six := sliceOf6("web-6", ready("fd00:9::1"), ready("fd00:9::2"))
	twice := append(own(1), sliceOf("web-m", ready("10.9.0.1")))
	tests := []struct {
		name      string
		mode      Mode
		minReady  string
		native    []*discoveryv1.EndpointSlice
		stand     bool
		recovered bool
		want      stance
	}{
		{"join adds whatever is ready", ModeJoin, "", own(3), false, false, stance{adds: true, verdict: Verdict{Mirrored, Joined, ""}}},
		{"failover stands by while one is ready", ModeFailover, "", own(1), false, false, stance{verdict: Verdict{Mirrored, Standby, ""}}},
		{"failover adds at once when none is", ModeFailover, "", own(0), false, false, stance{adds: true, verdict: Verdict{Mirrored, FailedOver, ""}}},
		{"what has recovered before helps nothing when none is", ModeFailover, "", own(0), true, true, stance{adds: true, verdict: Verdict{Mirrored, FailedOver, ""}}},
		{"fewer than asked for are too few", ModeFailover, "3", own(2), false, false, stance{adds: true, verdict: Verdict{Mirrored, FailedOver, ""}}},
		{"as many as asked for are enough", ModeFailover, "3", own(3), false, false, stance{verdict: Verdict{Mirrored, Standby, ""}}},
		{"an address in two slices counts once", ModeFailover, "2", twice, false, false, stance{adds: true, verdict: Verdict{Mirrored, FailedOver, ""}}},
		{"a pod with an address of each family counts once", ModeFailover, "3", append(own(2), six), false, false, stance{adds: true, verdict: Verdict{Mirrored, FailedOver, ""}}},
		{"what is enough again has to last", ModeFailover, "", own(1), true, false, stance{adds: true, recovers: true, verdict: Verdict{Mirrored, FailedOver, ""}}},
		{"what has lasted lets the source's go", ModeFailover, "", own(1), true, true, stance{yields: true, verdict: Verdict{Mirrored, Standby, ""}}},
		{"what is not known adds nothing", ModeFailover, "", nil, false, true, stance{verdict: Verdict{Mirrored, Standby, ""}}},
		{"what is not known takes nothing away", ModeFailover, "", nil, true, true, stance{adds: true, verdict: Verdict{Mirrored, FailedOver, ""}}},
		{"a number that is none counts as one", ModeFailover, "two", own(1), false, false, stance{verdict: Verdict{Refused, MinReadyInvalid, ""}}},
		{"none at all is no number either", ModeFailover, "0", own(0), false, false, stance{adds: true, verdict: Verdict{Refused, MinReadyInvalid, ""}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			service := native(mode(test.mode))
			if test.minReady != "" {
				minReady(test.minReady)(service)
			}
			target := joinedTarget(sourceOf(service, test.native...))
			target.Recovered = test.recovered
			if test.stand {
				target.Copies = ofJoin(rules(), sourceOf(exported(), sliceOf("web-1", ready("10.0.0.1"))), target.Native)
			}
			got := rules().stanceOf(target, target.Copies)
			got.verdict.Message = ""
			if got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

func TestJoinAddsSlicesAndNothingElse(t *testing.T) {
	slice := sliceOf("web-1", ready("10.0.0.1"), notReady("10.0.0.2"))
	own := sourceOf(native(mode(ModeJoin)), sliceOf("web-n", ready("10.9.0.1")))
	for _, api := range []EndpointsAPI{Both, SlicesOnly, EndpointsOnly} {
		r := rules(func(r *Rules) { r.EndpointsAPI = api })
		plan := r.Plan(sourceOf(exported(mode(ModeJoin)), slice), joinedTarget(own))
		added := &discoveryv1.EndpointSlice{
			ObjectMeta: marks(r.sliceName(web.Name, slice)), AddressType: discoveryv1.AddressTypeIPv4,
			Ports: []discoveryv1.EndpointPort{{Name: ptr.To("http"), Protocol: ptr.To(corev1.ProtocolTCP), Port: ptr.To[int32](8080)}},
			Endpoints: []discoveryv1.Endpoint{
				{Addresses: []string{"10.0.0.1"}, Conditions: discoveryv1.EndpointConditions{Ready: ptr.To(true)}},
				{Addresses: []string{"10.0.0.2"}, Conditions: discoveryv1.EndpointConditions{Ready: ptr.To(false)}},
			},
		}
		added.Labels[discoveryv1.LabelManagedBy], added.Labels[discoveryv1.LabelServiceName] = ManagedBy, web.Name
		added.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Service", Name: web.Name, UID: "uid-of-native", Controller: ptr.To(true)}}
		if diff := cmp.Diff([]Change{{Create, added}}, plan.Changes); diff != "" {
			t.Errorf("--endpoints-api %s: changes (-want +got):\n%s", api, diff)
		}
		if plan.Verdict != (Verdict{State: Mirrored, Reason: Joined}) || plan.Destroys() || plan.restsOnNative(joinedTarget(own)) {
			t.Errorf("--endpoints-api %s: %+v", api, plan)
		}
	}
}

func TestAddressesOfTheNativeServiceAreNotAdded(t *testing.T) {
	own := sourceOf(native(mode(ModeJoin)), sliceOf("web-n", notReady("10.0.0.1")))
	plan := rules().Plan(sourceOf(exported(mode(ModeJoin)), sliceOf("web-1", ready("10.0.0.1"), ready("10.0.0.2"))), joinedTarget(own))
	if plan.Verdict.Reason != AddressDenied || plan.Pointer.Total != 1 || len(plan.Pointer.Denied) != 1 {
		t.Errorf("%s, with %d addresses and %q denied", plan.Verdict, plan.Pointer.Total, plan.Pointer.Denied)
	}
}

func TestOnlyFamiliesOfTheNativeServiceAreAdded(t *testing.T) {
	own := sourceOf(native(mode(ModeJoin)), sliceOf("web-n", ready("10.9.0.1")))
	both := sourceOf(exported(mode(ModeJoin), families(corev1.IPv6Protocol, corev1.IPv4Protocol)), sliceOf("web-4", ready("10.0.0.1")), sliceOf6("web-6", ready("fd00:1::1")))
	plan := rules().Plan(both, joinedTarget(own))
	if len(plan.Pointer.Slices) != 1 || plan.Pointer.Slices[0].AddressType != discoveryv1.AddressTypeIPv4 {
		t.Errorf("%v", describe(plan.Changes))
	}
}

func TestSlicesFollowTheNameFromOneServiceToTheNext(t *testing.T) {
	slice := sliceOf("web-1", ready("10.0.0.1"))
	source := sourceOf(exported(mode(ModeJoin)), slice)
	own := sourceOf(native(mode(ModeJoin)), sliceOf("web-n", ready("10.9.0.1")))
	name := rules().sliceName(web.Name, slice)
	onNative := ofJoin(rules(), source, own)
	anew := sourceOf(native(mode(ModeJoin), func(service *corev1.Service) { service.UID = "uid-of-native-made-anew" }), own.Slices...)
	anew.Service.UID = "uid-of-native-made-anew"
	unmarked := &Copy{Kind: KindService, Namespace: web.Namespace, Name: web.Name, UID: "uid-of-native", ResourceVersion: "3"}
	pointer := standing(rules(), source)
	tests := []struct {
		name   string
		target Target
		want   []string
		reason Reason
	}{
		{"to another native Service", joinedTarget(anew, onNative...), []string{"update EndpointSlice shop/" + name}, Joined},
		{"to a pointer, where there is no other Service", targetOf(onNative...), []string{"create Service shop/web", "update EndpointSlice shop/" + name, "create Endpoints shop/web"}, ""},
		{"nowhere, where it is somebody's and no longer exported", targetOf(append(onNative, unmarked)...), []string{"delete EndpointSlice shop/" + name}, Conflict},
		{"nowhere yet, while the pointer is still seen", joinedTarget(own, pointer...), nil, PointerStands},
		{"to the native Service, from a pointer that is gone", joinedTarget(own, pointer[1]), []string{"update EndpointSlice shop/" + name}, Joined},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			plan := rules().Plan(source, test.target)
			if diff := cmp.Diff(test.want, describe(plan.Changes)); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
			if plan.Verdict.Reason != test.reason {
				t.Errorf("verdict: %s", plan.Verdict)
			}
		})
	}
}

// TestSlicesOfAJoinGo: what proof is asked for, and whether the brake counts it.
func TestSlicesOfAJoinGo(t *testing.T) {
	slice := sliceOf("web-1", ready("10.0.0.1"))
	own := func(mode Mode, endpoint discoveryv1.Endpoint) Source {
		service := native()
		annotate(service, AnnotationMode, string(mode))
		return sourceOf(service, sliceOf("web-n", endpoint))
	}
	whole := sourceOf(exported(mode(ModeFailover)), slice)
	tests := []struct {
		name                                        string
		source                                      Source
		native                                      Source
		recovered, drained                          bool
		destroys, restsOnNative, withdraws, changes bool
	}{
		{"when the source's Service does", Source{}, own(ModeFailover, notReady("10.9.0.1")), false, false, true, true, true, true},
		{"when the source's mode changes", sourceOf(exported(mode(ModeJoin)), slice), own(ModeFailover, notReady("10.9.0.1")), false, false, true, true, true, true},
		{"when the target's mode changes", whole, own(ModePointer, notReady("10.9.0.1")), false, false, true, true, true, true},
		{"when the target has enough of its own for long enough", whole, own(ModeFailover, ready("10.9.0.1")), true, false, false, true, false, true},
		{"not yet when it has enough only now", whole, own(ModeFailover, ready("10.9.0.1")), false, false, false, false, false, false},
		{"empty when the source's pods do", sourceOf(whole.Service, sliceOf("web-1", notReady("10.0.0.1"))), own(ModeFailover, notReady("10.9.0.1")), false, false, true, false, false, true},
		{"by an operator's order, who is asked for no proof", whole, own(ModeFailover, notReady("10.9.0.1")), false, true, false, false, false, true},
		{"not while nothing is known of the source's", sourceOf(whole.Service), own(ModeFailover, notReady("10.9.0.1")), false, false, false, false, false, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := rules(func(r *Rules) { r.Drained = test.drained })
			target := joinedTarget(test.native, ofJoin(rules(), whole, test.native)...)
			target.Recovered = test.recovered
			plan := r.Plan(test.source, target)
			got := []bool{plan.Destroys(), plan.restsOnNative(target), plan.Withdraws, len(plan.Changes) > 0}
			if diff := cmp.Diff([]bool{test.destroys, test.restsOnNative, test.withdraws, test.changes}, got); diff != "" {
				t.Errorf("%s: %v: rests on the source, on the target, is a withdrawal, changes anything (-want +got):\n%s", plan.Verdict, describe(plan.Changes), diff)
			}
		})
	}
}

// TestJoinLeavesEndpointsAlone: those of a native Service may have marks of ours, if they were a pointer's before.
func TestJoinLeavesEndpointsAlone(t *testing.T) {
	r := rules()
	endpoints := r.Observe(stands(&corev1.Endpoints{ObjectMeta: marks(web.Name)}, "eps", "13"))
	own := sourceOf(native(mode(ModeJoin)), sliceOf("web-n", ready("10.9.0.1")))
	for _, change := range r.Plan(sourceOf(exported(mode(ModeJoin)), sliceOf("web-1", ready("10.0.0.1"))), joinedTarget(own, endpoints)).Changes {
		if kindOf(change.Object) != KindEndpointSlice {
			t.Error(change)
		}
	}
}
