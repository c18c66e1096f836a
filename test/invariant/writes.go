package invariant

import (
	"encoding/json"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// harmless are the requests in the form of a write that leave nothing behind.
var harmless = []string{"selfsubjectaccessreviews", "selfsubjectreviews", "selfsubjectrulesreviews"}

func (d direction) judgeWrites(report *Report) {
	for _, request := range d.target.asked() {
		if !request.isWrite() || request.isCutOff() || slices.Contains(harmless, request.Resource) {
			continue
		}
		switch request.kind() {
		case KindService, KindEndpointSlice, KindEndpoints:
			if request.landed() {
				report.Writes++
			}
			d.judgeForm(request, report)
			d.judgeOwnership(request, report)
			d.judgeContent(request, report)
		case KindNamespace:
			if request.Verb != "create" {
				report.violated("I1", []string{request.String()}, "xcc asked to %s namespace %s in %s", request.Verb, request.Name, d.target.Name)
			}
		default:
			d.judgeOther(request, report)
		}
	}
}

// judgeForm is I2: also of a write that was refused, for that may have been luck.
func (d direction) judgeForm(request Request, report *Report) {
	evidence := []string{request.String()}
	switch request.Verb {
	case "create":
	case "update", "delete":
		if uid, version := request.conditions(); uid == "" || version == "" {
			report.violated("I2", evidence, "xcc asked %s to %s %s %s/%s with the UID %q and the resourceVersion %q as conditions; both are needed",
				d.target.Name, request.Verb, request.Resource, request.Namespace, request.Name, uid, version)
		}
	default:
		report.violated("I2", evidence, "xcc asked %s to %s %s %s/%s", d.target.Name, request.Verb, request.Resource, request.Namespace, request.Name)
	}
	if request.Subresource != "" {
		report.violated("I1", evidence, "xcc wrote %s/%s of %s/%s in %s", request.Resource, request.Subresource, request.Namespace, request.Name, d.target.Name)
	}
}

// judgeOther is about what is no part of a pointer: xcc keeps one ConfigMap, and nothing else.
func (d direction) judgeOther(request Request, report *Report) {
	mayKeep := d.world.KeepsCount == nil || d.world.KeepsCount(request.Namespace)
	if request.Resource == "configmaps" && mayKeep && (request.Verb == "create" || request.Verb == "update") {
		if _, version := request.conditions(); request.Verb == "update" && version == "" {
			report.violated("I2", []string{request.String()}, "xcc updated ConfigMap %s/%s in %s without a resourceVersion", request.Namespace, request.Name, d.target.Name)
		}
		return
	}
	if slices.Contains([]string{"leases", "events"}, request.Resource) {
		return
	}
	report.violated("I1", []string{request.String()}, "xcc asked %s to %s %s %s/%s, which is no part of a pointer",
		d.target.Name, request.Verb, request.Resource, request.Namespace, request.Name)
}

// before gives the version that a write replaced. The API server has compared the conditions, so it is the one they name.
func (d direction) before(request Request) *Version {
	_, version := request.conditions()
	return d.target.History.Version(request.id(), version)
}

func (r Request) id() ID {
	return ID{Kind: r.kind(), Namespace: r.Namespace, Name: r.Name}
}

// judgeOwnership is I1.
func (d direction) judgeOwnership(request Request, report *Report) {
	if !request.landed() {
		return
	}
	evidence := []string{request.String()}
	if request.Verb == "create" || request.Code == 201 {
		if request.Verb != "create" {
			report.violated("I1", evidence, "xcc's %s of %s in %s created it", request.Verb, request.id(), d.target.Name)
		}
		return
	}
	if _, version := request.conditions(); version == "" {
		d.judgeUnconditional(request, report)
		return
	}
	before := d.before(request)
	if before == nil || before.Object == nil {
		report.Unjudged = append(report.Unjudged, "the version before "+request.String())
		return
	}
	if !d.owns(before.Object) && !d.isStray(request, before) {
		report.violated("I1", append(evidence, describe(before)), "xcc's %s in %s hit %s, which is not a pointer from %s",
			request.Verb, d.target.Name, before.ID, d.source.Name)
	}
}

// judgeUnconditional looks at every version that a write without conditions may have hit.
func (d direction) judgeUnconditional(request Request, report *Report) {
	key := Key{Namespace: request.Namespace, Name: request.Name}
	for _, state := range d.target.History.During(key, request.Received, request.Completed) {
		for _, object := range state.objects() {
			if object.GetName() == request.Name && kindOf(object) == request.kind() && !d.owns(object) {
				report.violated("I1", []string{request.String()}, "xcc's %s in %s may have hit %s, which is not a pointer from %s",
					request.Verb, d.target.Name, request.id(), d.source.Name)
				return
			}
		}
	}
}

// isStray reports whether a write deletes what the EndpointSlice controller made for one of our pointers.
func (d direction) isStray(request Request, before *Version) bool {
	slice, ok := before.Object.(*discoveryv1.EndpointSlice)
	if !ok || request.Verb != "delete" || slice.Labels[discoveryv1.LabelManagedBy] != "endpointslice-controller.k8s.io" {
		return false
	}
	owner := metav1.GetControllerOf(slice)
	if owner == nil || owner.Kind != KindService {
		return false
	}
	history := d.target.History
	for _, i := range history.byID[ID{Kind: KindService, Namespace: slice.Namespace, Name: owner.Name}] {
		service := history.versions[i].Object
		if service != nil && service.GetUID() == owner.UID && d.owns(service) {
			return true
		}
	}
	return false
}

// judgeContent is I3 and I9: what xcc writes is a pointer of what the other side exports, with addresses that may be told.
func (d direction) judgeContent(request Request, report *Report) {
	if request.Verb == "delete" {
		return
	}
	evidence := []string{request.String()}
	written := request.written()
	name := Key{Namespace: request.Namespace, Name: request.Name}
	if cluster := written.Annotations[originCluster]; cluster != string(d.source.UID) || written.Labels[exportLabel] != "follower" {
		report.violated("I3", evidence, "xcc wrote %s %s into %s with the origin %q and the label %q; only what comes from %s (%s) belongs there",
			request.Resource, name, d.target.Name, cluster, written.Labels[exportLabel], d.source.Name, d.source.UID)
	} else if uid := written.Annotations[originUID]; !d.wasExported(request, uid) {
		report.violated("I3", evidence, "xcc wrote %s %s into %s for the Service with UID %q, which %s has never exported",
			request.Resource, name, d.target.Name, uid, d.source.Name)
	}
	for _, address := range writtenAddresses(request) {
		if !Allowed(address, d.target.ServiceCIDRs) {
			report.violated("I9", evidence, "xcc wrote the address %s into %s %s in %s", address, request.Resource, name, d.target.Name)
		}
	}
}

// wasExported reports whether the source has had, until the write was done, a Service of that UID that was to be mirrored.
func (d direction) wasExported(request Request, uid string) bool {
	name := request.Name
	if request.kind() == KindEndpointSlice {
		written := request.written()
		name = serviceOfSlice(&written)
	}
	history := d.source.History
	for _, i := range history.byID[ID{Kind: KindService, Namespace: request.Namespace, Name: name}] {
		version := history.versions[i]
		service, ok := version.Object.(*corev1.Service)
		if ok && string(service.UID) == uid && isExported(service) && !version.after.After(request.Completed) {
			return true
		}
	}
	return false
}

func isExported(service *corev1.Service) bool {
	return service != nil && service.Labels[exportLabel] == "true" && !isMarked(service)
}

func writtenAddresses(request Request) []string {
	var all []string
	switch request.kind() {
	case KindEndpointSlice:
		var slice discoveryv1.EndpointSlice
		if json.Unmarshal(request.Body, &slice) == nil {
			for _, endpoint := range slice.Endpoints {
				all = append(all, endpoint.Addresses...)
			}
		}
	case KindEndpoints:
		var endpoints corev1.Endpoints
		if json.Unmarshal(request.Body, &endpoints) == nil {
			for _, subset := range endpoints.Subsets {
				for _, address := range append(slices.Clone(subset.Addresses), subset.NotReadyAddresses...) {
					all = append(all, address.IP)
				}
			}
		}
	}
	return all
}

// forbidden are the ranges that no pointer may lead to, wherever it is.
var forbidden = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/32"), netip.MustParsePrefix("::/128"),
	netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128"),
	netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("fe80::/10"),
	netip.MustParsePrefix("224.0.0.0/4"), netip.MustParsePrefix("ff00::/8"),
	netip.MustParsePrefix("fd00:ec2::254/128"), netip.MustParsePrefix("168.63.129.16/32"), netip.MustParsePrefix("100.100.100.200/32"),
	netip.MustParsePrefix("::ffff:0:0/96"),
}

// Allowed is I9 for one address as it was written.
func Allowed(text string, serviceCIDRs []netip.Prefix) bool {
	address, err := netip.ParseAddr(text)
	if err != nil {
		return false
	}
	for _, prefix := range slices.Concat(forbidden, serviceCIDRs) {
		if prefix.Contains(address) {
			return false
		}
	}
	return true
}
