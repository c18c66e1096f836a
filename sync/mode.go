package sync

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
)

// What users write on Services that both clusters export.
const (
	// AnnotationMode says, on both Services alike, what becomes of the two.
	AnnotationMode = "fair.com/cross-cluster-mode"
	// AnnotationMinReady says how many ready addresses of its own a Service needs, so that failover adds none.
	AnnotationMinReady = "fair.com/cross-cluster-min-ready"
)

// Mode is a value of [AnnotationMode].
type Mode string

const (
	// ModePointer is the default: a name is mirrored only where the other cluster exports none of it.
	ModePointer Mode = "pointer"
	// ModeJoin adds the addresses of the other cluster's Service to a Service's own, always.
	ModeJoin Mode = "join"
	// ModeFailover adds them while too few of its own are ready.
	ModeFailover Mode = "failover"
)

// ModeOf is what a Service asks for.
func ModeOf(service *corev1.Service) Mode {
	return cmp.Or(Mode(service.Annotations[AnnotationMode]), ModePointer)
}

func (m Mode) isKnown() bool {
	return m == ModePointer || m.joins()
}

func (m Mode) joins() bool {
	return m == ModeJoin || m == ModeFailover
}

// defaultMinReady is the value of [AnnotationMinReady] where there is none.
const defaultMinReady = 1

// MinReady is how many ready addresses of its own a Service needs. Where that is no number that makes sense, it is the
// default, and not valid.
func MinReady(service *corev1.Service) (minimum int, valid bool) {
	text, found := service.Annotations[AnnotationMinReady]
	if !found {
		return defaultMinReady, true
	}
	minimum, err := strconv.Atoi(text)
	if err != nil || minimum < 1 {
		return defaultMinReady, false
	}
	return minimum, true
}

// joiningModes are what to annotate both Services with.
var joiningModes = fmt.Sprintf("%[1]s=%[2]s or %[1]s=%[3]s", AnnotationMode, ModeJoin, ModeFailover)

// modeVerdict is that of two Services that do not ask to be joined in the same way.
func modeVerdict(here, there Mode) Verdict {
	switch {
	case !here.isKnown():
		return refused(ModesDisagree, "its annotation %s is %q, which is no mode; annotate both Services with %s", AnnotationMode, here, joiningModes)
	case !there.isKnown():
		return refused(ModesDisagree, "in the other cluster the annotation %s is %q, which is no mode; annotate both Services with %s", AnnotationMode, there, joiningModes)
	}
	return refused(ModesDisagree, "the mode is %s here and %s in the other cluster; annotate both Services with %s", here, there, joiningModes)
}

// agree reports whether two Services ask to be joined in the same way.
func agree(here, there *corev1.Service) bool {
	mode := ModeOf(here)
	return mode == ModeOf(there) && mode.joins()
}

// canBeJoined reports whether kube-proxy joins the slices of a Service, and Kubernetes makes some of them. In a headless
// Service it is the resolver that joins them, by names of pods that both clusters may have.
func canBeJoined(service *corev1.Service) bool {
	switch cmp.Or(service.Spec.Type, corev1.ServiceTypeClusterIP) {
	case corev1.ServiceTypeClusterIP, corev1.ServiceTypeNodePort, corev1.ServiceTypeLoadBalancer:
		return len(service.Spec.Selector) > 0 && !isHeadless(service)
	}
	return false
}

func notJoinableVerdict(here *corev1.Service) Verdict {
	where := "in the other cluster"
	if !canBeJoined(here) {
		where = "here"
	}
	return refused(NotJoinable, "the Service %s has no selector or no address of its own; take %s off both, and remove the label from one of them", where, AnnotationMode)
}

// portsOnOneSide gives the ports that only one of two Services has, sorted. kube-proxy finds the endpoints of a port by its
// name and protocol; the numbers may differ.
func portsOnOneSide(here, there *corev1.Service) (onlyHere, onlyThere []string) {
	a, b := portNames(here), portNames(there)
	return sets.List(a.Difference(b)), sets.List(b.Difference(a))
}

func portNames(service *corev1.Service) sets.Set[string] {
	names := sets.New[string]()
	for _, port := range service.Spec.Ports {
		names.Insert(cmp.Or(port.Name, "(unnamed)") + "/" + string(cmp.Or(port.Protocol, corev1.ProtocolTCP)))
	}
	return names
}

func haveSamePorts(here, there *corev1.Service) bool {
	onlyHere, onlyThere := portsOnOneSide(here, there)
	return len(onlyHere)+len(onlyThere) == 0
}

func portVerdict(here, there *corev1.Service) Verdict {
	onlyHere, onlyThere := portsOnOneSide(here, there)
	var parts []string
	for _, side := range []struct {
		ports []string
		where string
	}{{onlyHere, "here"}, {onlyThere, "in the other cluster"}} {
		if len(side.ports) > 0 {
			parts = append(parts, fmt.Sprintf("only %s: %s", side.where, strings.Join(side.ports, ", ")))
		}
	}
	return refused(PortConflict, "the ports of the two Services differ (%s); give both the same, by name and protocol", strings.Join(parts, "; "))
}

// familiesFor are the IP families in which the target can have addresses under a Service's name.
func (t Target) familiesFor(service *corev1.Service) []corev1.IPFamily {
	if t.exports() {
		return sharedFamilies(service, t.Native.Service.Spec.IPFamilies)
	}
	return sharedFamilies(service, t.Network.Families)
}

// joins reports whether both clusters export the name, and at least one of them with a mode other than the default.
func (t Target) joins(source Source) bool {
	return t.exports() && (ModeOf(source.Service) != ModePointer || ModeOf(t.Native.Service) != ModePointer)
}

// exports reports whether the target itself exports a Service of the name.
func (t Target) exports() bool {
	return t.Native.Service != nil
}

// ownReady counts the addresses of a native Service that are ready, each once; of the IP family that has most. It is not
// known where Kubernetes has yet to make a slice.
func ownReady(native Source) (count int, known bool) {
	if endpointsUnknown(native) {
		return 0, false
	}
	ready := map[string]sets.Set[string]{}
	for _, slice := range native.Slices {
		if IsMirrored(slice) {
			continue
		}
		family := string(slice.AddressType)
		for _, endpoint := range slice.Endpoints {
			if isReady(endpoint) {
				if ready[family] == nil {
					ready[family] = sets.New[string]()
				}
				ready[family].Insert(endpoint.Addresses...)
			}
		}
	}
	for _, addresses := range ready {
		count = max(count, addresses.Len())
	}
	return count, true
}

// OwnReady is how many ready addresses of its own the native Service has, as far as that is known.
func (t Target) OwnReady() (count int, known bool) {
	return ownReady(t.Native)
}

func ofKind(copies []*Copy, kind Kind) []*Copy {
	return slices.DeleteFunc(slices.Clone(copies), func(c *Copy) bool { return c.Kind != kind })
}
