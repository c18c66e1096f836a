package invariant

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	gocmp "github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/utils/ptr"
)

// What users write on Services that both clusters export, as the design says it.
const (
	modeAnnotation     = "fair.com/cross-cluster-mode"
	minReadyAnnotation = "fair.com/cross-cluster-min-ready"
)

func modeOf(service *corev1.Service) string {
	return cmp.Or(service.Annotations[modeAnnotation], "pointer")
}

// unjoined says why two Services that both clusters export are not joined; empty where they are to be.
func unjoined(here, there *corev1.Service) string {
	mode := modeOf(here)
	switch {
	case mode != modeOf(there):
		return "the two clusters' modes differ"
	case mode != "join" && mode != "failover":
		return "the target exports the name itself"
	}
	for _, service := range []*corev1.Service{here, there} {
		if len(service.Spec.Selector) == 0 || isHeadless(service) || service.Spec.Type == corev1.ServiceTypeExternalName {
			return "one of the two can't be joined"
		}
	}
	if !gocmp.Equal(portNames(here), portNames(there)) {
		return "their ports differ"
	}
	return ""
}

func portNames(service *corev1.Service) []string {
	var names []string
	for _, port := range service.Spec.Ports {
		names = append(names, port.Name+"/"+string(cmp.Or(port.Protocol, corev1.ProtocolTCP)))
	}
	slices.Sort(names)
	return names
}

// isNative reports whether a slice is not xcc's.
func isNative(slice *discoveryv1.EndpointSlice) bool {
	return slice.Labels[discoveryv1.LabelManagedBy] != managedByXCC && !isMarked(slice)
}

// enough reports whether a Service has as many ready addresses of its own as failover asks for; it is not known where
// Kubernetes has made no slice of it.
func enough(own State) (enough, known bool) {
	addresses := map[string]bool{}
	for _, slice := range own.Slices {
		if !isNative(slice) || slice.Labels[exportLabel] != "true" {
			continue
		}
		known = true
		for _, endpoint := range slice.Endpoints {
			for _, address := range endpoint.Addresses {
				if ptr.Deref(endpoint.Conditions.Ready, true) {
					addresses[address] = true
				}
			}
		}
	}
	minimum, err := strconv.Atoi(own.Service.Annotations[minReadyAnnotation])
	if err != nil || minimum < 1 {
		minimum = 1
	}
	return len(addresses) >= minimum, known
}

// judgeJoin judges what stands of a source's under a name that both clusters export, when nothing changes any more.
func (d direction) judgeJoin(key Key, from, into State, report *Report) {
	var ours State
	for _, object := range into.objects() {
		if slice, ok := object.(*discoveryv1.EndpointSlice); ok && d.owns(slice) {
			ours.Slices = append(ours.Slices, slice)
		} else if d.owns(object) {
			report.violated("I7", []string{describeObject(object)}, "%s: %s has a %s of xcc beside the Service of %s itself", d, key, kindOf(object), d.target.Name)
		}
	}
	adds := true
	if modeOf(into.Service) == "failover" {
		enough, known := enough(into)
		if !known {
			return
		}
		adds = !enough
	}
	var want State
	if adds {
		want.Slices = WantPointer(Origin{d.source.UID, d.source.Name}, from, into.Service.UID, d.target.ServiceCIDRs).Slices
	}
	if difference := Difference(want, ours); difference != "" {
		report.violated("I7", []string{"(-want +got):\n" + difference}, "%s: what was added to %s is not what the mode %s makes of its source", d, key, modeOf(into.Service))
	}
}

// isJoin reports whether what was lost stood on a Service that the target exported itself.
func (lost destruction) isJoin() bool {
	return isExported(lost.pointer.Service)
}

// unprovenJoin says why nothing justified that a Service of the target's own lost the last ready address that xcc had added
// to it; empty where something did: a live reading of the source, of the target, or of both.
func (d direction) unprovenJoin(lost destruction, reads []Request) string {
	reason := d.unprovenSource(lost, reads)
	if reason == "" {
		return ""
	}
	there := d.target.asked()
	for _, get := range there {
		if !d.isLiveGet(get, lost) {
			continue
		}
		for _, list := range there {
			if list.Received.Before(get.Received) || list.Completed.After(lost.request.Received) || list.Code != 200 || !isConsistent(list) ||
				list.Namespace != lost.key.Namespace || !readsEndpoints(list, lost.key.Name) {
				continue
			}
			for _, state := range d.target.History.During(lost.key, get.Received, list.Completed) {
				if d.isEnough(state) {
					return ""
				}
			}
		}
		if d.modesAreRead(lost, get, reads) {
			return ""
		}
	}
	return reason + fmt.Sprintf(", nor has %s said that it does without", d.target.Name)
}

func (d direction) isEnough(state State) bool {
	if !isExported(state.Service) || modeOf(state.Service) != "failover" {
		return false
	}
	enough, known := enough(state)
	return enough && known
}

// modesAreRead reports whether the two Services, when both were read, may have been such that they are not joined.
func (d direction) modesAreRead(lost destruction, there Request, reads []Request) bool {
	for _, here := range reads {
		if !d.isLiveGet(here, lost) {
			continue
		}
		for _, source := range d.source.History.During(lost.key, here.Received, here.Completed) {
			for _, target := range d.target.History.During(lost.key, there.Received, there.Completed) {
				if isExported(source.Service) && (!isExported(target.Service) || unjoined(source.Service, target.Service) != "") {
					return true
				}
			}
		}
	}
	return false
}
