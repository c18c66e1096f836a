package invariant

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/utils/ptr"
)

// destruction is a write that took something away: a pointer's Service, or the last address that was ready in one of its
// slices or in its Endpoints.
type destruction struct {
	request Request
	key     Key
	// of is what was replaced.
	of      *Version
	pointer State // as it stood just before
	service bool
	// taken are the addresses that were ready in objects of that kind, and are in none of them any more.
	taken sets.Set[string]
	// others: while the object stood as it was found, another of its kind had ready addresses. Each write is held to one
	// object's version, so that two that take one slice each may leave none together.
	others bool
}

// judgeProofs is I4. I5 follows from it: a source that is silent, another one, or not read yet answers no such read.
func (d direction) judgeProofs(report *Report) {
	reads := d.source.asked()
	for _, lost := range d.destructions() {
		report.Destructions++
		if reason := d.unproven(lost, reads); reason != "" {
			what := fmt.Sprintf("took the last ready address of its %s from", lost.of.ID.Kind)
			if lost.service {
				what = "deleted the Service of"
			}
			report.violated("I4", append([]string{lost.request.String(), describe(lost.of)}, d.witnesses(lost, reads)...),
				"xcc %s the pointer %s in %s, and %s", what, lost.key, d.target.Name, reason)
		}
	}
}

// destructions finds them among xcc's writes that landed, in the order in which they did.
func (d direction) destructions() []destruction {
	var all []destruction
	for _, request := range d.target.asked() {
		if !request.landed() || request.Verb == "create" || !slices.Contains([]string{KindService, KindEndpointSlice, KindEndpoints}, request.kind()) {
			continue
		}
		before := d.before(request)
		if before == nil || before.Object == nil || !d.owns(before.Object) {
			continue // judged as I1
		}
		after := d.target.History.next(before)
		if after == nil || request.answered().ResourceVersion == request.written().ResourceVersion && request.Verb == "update" {
			continue // nothing has changed
		}
		key := keyOf(before.ID, before.Object)
		pointer := d.target.History.State(key, after.Revision-1)
		lost := destruction{request: request, key: key, of: before, pointer: pointer}
		if request.Verb == "delete" && request.kind() == KindService {
			lost.service = true
			all = append(all, lost)
			continue
		}
		if len(readyOf(before.Object, nil)) > 0 && len(readyOf(after.Object, nil)) == 0 {
			left := d.target.History.State(key, after.Revision)
			lost.taken = d.readyIn(pointer, before.ID.Kind).Difference(d.readyIn(left, before.ID.Kind))
			lost.others = d.hadOthers(lost)
		}
		if len(lost.taken) > 0 {
			all = append(all, lost)
		}
	}
	return all
}

func (d direction) hadOthers(lost destruction) bool {
	return slices.ContainsFunc(d.target.History.During(lost.key, lost.of.after, lost.request.Received), func(pointer State) bool {
		return slices.ContainsFunc(pointer.objects(), func(object Object) bool {
			return kindOf(object) == lost.of.ID.Kind && object.GetName() != lost.of.ID.Name && d.owns(object) && len(readyOf(object, nil)) > 0
		})
	})
}

// unproven says why nothing justified a destruction; empty where something did.
func (d direction) unproven(lost destruction, reads []Request) string {
	if lost.isJoin() {
		return d.unprovenJoin(lost, reads)
	}
	return d.unprovenSource(lost, reads)
}

// unprovenSource asks the readings of the source alone.
func (d direction) unprovenSource(lost destruction, reads []Request) string {
	asked := false
	for _, get := range reads {
		if !d.isLiveGet(get, lost) {
			continue
		}
		asked = true
		for _, state := range d.source.History.During(lost.key, get.Received, get.Completed) {
			if d.isGone(state.Service, lost) {
				return ""
			}
		}
		if d.isRefusedThere(lost, get.Received) {
			return ""
		}
		if !lost.service && d.hasNoneReady(lost, get, reads) {
			return ""
		}
	}
	if !asked {
		return fmt.Sprintf("had not asked %s for the Service since that version was written", d.source.Name)
	}
	return fmt.Sprintf("whenever it asked %s, the Service was there and exported", d.source.Name)
}

// isLiveGet reports whether a request is a consistent read of the Service, made after the pointer's object was written as
// it was found, and answered before it was written again.
func (d direction) isLiveGet(get Request, lost destruction) bool {
	return get.Verb == "get" && get.Resource == "services" && get.Subresource == "" &&
		get.Namespace == lost.key.Namespace && get.Name == lost.key.Name &&
		(get.Code == 200 || get.Code == 404) && isConsistent(get) &&
		!get.Completed.Before(lost.of.after) && !get.Completed.After(lost.request.Received)
}

func isConsistent(read Request) bool {
	asked, err := url.ParseRequestURI(read.URI)
	return err == nil && asked.Query().Get("resourceVersion") == ""
}

// isGone reports whether a state of the source's Service justifies the loss by itself.
func (d direction) isGone(service *corev1.Service, lost destruction) bool {
	if !isExported(service) || isRefused(service) {
		return true
	}
	if string(service.UID) != lost.of.Object.GetAnnotations()[originUID] {
		return true // replaced
	}
	pointer := lost.pointer.Service
	return lost.service && pointer != nil && isHeadless(service) != isHeadless(pointer) // to be born again in another shape
}

// isRefused reports whether a Service can't be mirrored whatever the target is like.
func isRefused(service *corev1.Service) bool {
	return service.Spec.Type == corev1.ServiceTypeExternalName || strings.HasPrefix(service.Namespace, "kube-") ||
		service.Namespace == "default" && service.Name == "kubernetes"
}

// isRefusedThere reports whether the target had a reason of its own to have no pointer, at some time from the read of the
// source on: its namespace was opted out or going, or the name was not the pointer's any more.
func (d direction) isRefusedThere(lost destruction, since time.Time) bool {
	for _, namespace := range d.target.History.Namespaces(lost.key.Namespace, since, lost.request.Completed) {
		if namespace == nil || namespace.Labels[exportLabel] == "false" || namespace.DeletionTimestamp != nil {
			return true
		}
	}
	if lost.service {
		return false
	}
	for _, state := range d.target.History.During(lost.key, since, lost.request.Completed) {
		if state.Service == nil || !d.owns(state.Service) && !isExported(state.Service) {
			return true
		}
	}
	return false
}

// hasNoneReady reports whether, after the Service, its endpoints were read, and none of them may have been ready; of what
// was not all that the pointer had, none of those that were taken.
func (d direction) hasNoneReady(lost destruction, get Request, reads []Request) bool {
	for _, list := range reads {
		if list.Received.Before(get.Received) || list.Completed.After(lost.request.Received) || list.Code != 200 || !isConsistent(list) ||
			list.Namespace != lost.key.Namespace || !readsEndpoints(list, lost.key.Name) {
			continue
		}
		for _, state := range d.source.History.During(lost.key, list.Received, list.Completed) {
			ready := d.readyToMirror(state)
			if len(ready) == 0 || lost.others && len(ready.Intersection(lost.taken)) == 0 {
				return true
			}
		}
	}
	return false
}

func readsEndpoints(read Request, service string) bool {
	if read.Resource == "endpoints" {
		return read.Verb == "get" && read.Name == service
	}
	asked, err := url.ParseRequestURI(read.URI)
	if err != nil || read.Resource != "endpointslices" || read.Verb != "list" {
		return false
	}
	return slices.Contains(strings.Split(asked.Query().Get("labelSelector"), ","), discoveryv1.LabelServiceName+"="+service)
}

// readyToMirror gives what of the source's state is ready and may be written into the target.
func (d direction) readyToMirror(source State) sets.Set[string] {
	addresses := sets.New[string]()
	for _, slice := range source.Slices {
		if slice.Labels[exportLabel] == "true" && !isMarked(slice) {
			addresses = addresses.Union(readyOf(slice, d.target.ServiceCIDRs))
		}
	}
	return addresses
}

// readyIn gives the ready addresses of a pointer in its objects of one kind.
func (d direction) readyIn(pointer State, kind string) sets.Set[string] {
	addresses := sets.New[string]()
	for _, object := range pointer.objects() {
		if kindOf(object) == kind && d.owns(object) {
			addresses = addresses.Union(readyOf(object, nil))
		}
	}
	return addresses
}

// readyOf gives the ready addresses of an object, without those that may not be written.
func readyOf(object Object, serviceCIDRs []netip.Prefix) sets.Set[string] {
	addresses := sets.New[string]()
	switch object := object.(type) {
	case *discoveryv1.EndpointSlice:
		for _, endpoint := range object.Endpoints {
			for _, address := range endpoint.Addresses {
				if ptr.Deref(endpoint.Conditions.Ready, true) && Allowed(address, serviceCIDRs) {
					addresses.Insert(address)
				}
			}
		}
	case *corev1.Endpoints:
		for _, subset := range object.Subsets {
			for _, address := range subset.Addresses {
				addresses.Insert(address.IP)
			}
		}
	}
	return addresses
}

// witnesses are the last reads of the source before a destruction, and the source's state then.
func (d direction) witnesses(lost destruction, reads []Request) []string {
	var told []string
	for _, get := range reads {
		if get.Namespace == lost.key.Namespace && !get.Completed.After(lost.request.Received) && (get.Name == lost.key.Name || readsEndpoints(get, lost.key.Name)) {
			told = append(told, "in "+d.source.Name+": "+get.String()+" "+get.URI)
		}
	}
	told = told[max(0, len(told)-4):]
	for _, state := range d.source.History.During(lost.key, lost.request.Received, lost.request.Received) {
		told = append(told, fmt.Sprintf("in %s: %s", d.source.Name, state))
	}
	return told
}
