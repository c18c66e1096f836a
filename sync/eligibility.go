package sync

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Source is what one reading of the source cluster says about one name.
type Source struct {
	// Service is the exported Service; nil where no Service of the name matches the selector.
	Service *corev1.Service
	// Slices are its EndpointSlices, in any order. The Service decides: without one, they mean nothing.
	Slices []*discoveryv1.EndpointSlice
}

// Target is what one reading of the target cluster says about one name.
type Target struct {
	// Namespace is the metadata of the namespace; nil where there is none.
	Namespace *metav1.ObjectMeta
	// Copies are all objects with the follower label that belong to the name, whoever made them, and those without that
	// were found in the pointer's way.
	Copies []*Copy
	// Native is what the target itself exports under the name; without a Service where it exports nothing. Slices without a
	// Service are those of one that is gone.
	Native Source
	// Recovered: the native Service has had enough ready addresses of its own for some time.
	Recovered bool
	// Network is what the target's Services can have.
	Network Network
	// Overlapping are addresses of the source's slices that are exported pods of the target, too.
	Overlapping []netip.Addr
}

// Network is what a cluster says of its Service network.
type Network struct {
	// Families are the IP families that its Services can have, the default first.
	Families []corev1.IPFamily
	// ServiceCIDRs are the ranges of its Service addresses, as far as it tells them.
	ServiceCIDRs []netip.Prefix
}

// Rules are the settings of one direction that decisions depend on.
type Rules struct {
	// Cluster is the UID of the source cluster, Name its display name.
	Cluster types.UID
	Name    string
	// Drained: an operator wants no address of the source in the target. Services stay.
	Drained bool
	// CreateNamespaces lets a missing namespace be created in the target.
	CreateNamespaces bool
	// EndpointsAPI says which of the two endpoint APIs pointers are written in.
	EndpointsAPI EndpointsAPI
	// Allowed are the prefixes that addresses may come from; empty for any.
	Allowed []netip.Prefix
	// CopyLabels and CopyAnnotations are the keys that a pointer takes over from its Service.
	CopyLabels      []string
	CopyAnnotations []string
	// Memory spares the projection of slices that have not changed. It changes no decision; nil is none.
	Memory *Memory
}

// EndpointsAPI is a choice between the two APIs that hold a Service's addresses.
type EndpointsAPI string

// The ways to write a pointer's addresses.
const (
	// Both writes EndpointSlices, which kube-proxy and CoreDNS read, and Endpoints, which older readers read.
	Both EndpointsAPI = "both"
	// SlicesOnly writes EndpointSlices.
	SlicesOnly EndpointsAPI = "slices"
	// EndpointsOnly writes Endpoints and lets Kubernetes make EndpointSlices of them.
	EndpointsOnly EndpointsAPI = "endpoints"
)

// demand is what must be so for a pointer to exist. Where it is not, that decides the verdict.
type demand struct {
	// says it in words; "it" is the Service.
	says string
	// of says which names it is a demand on.
	of      subject
	unmet   func(r Rules, source Source, target Target) bool
	verdict func(r Rules, source Source, target Target) Verdict
}

// subject is a kind of name. One that both clusters export, and at least one of them with a mode, is to be joined; any
// other is to be mirrored by a pointer.
type subject uint8

const (
	everyName subject = iota
	pointerNames
	joinedNames
)

// demands decide in this order: the first that is not met gives the verdict.
var demands = []demand{{
	says: "the source exports it, and it is not itself a pointer",
	unmet: func(_ Rules, source Source, _ Target) bool {
		return source.Service == nil || IsMirrored(source.Service)
	},
	verdict: func(r Rules, _ Source, target Target) Verdict {
		return Verdict{State: Withdrawn, Message: r.strangers(target.Copies)}
	},
}, {
	says:  "its namespace is not one of Kubernetes",
	unmet: func(_ Rules, source Source, _ Target) bool { return isReserved(source.Service) },
	verdict: func(_ Rules, source Source, _ Target) Verdict {
		return refused(ReservedNamespace, "namespace %s belongs to Kubernetes; move the Service to a namespace of its own", source.Service.Namespace)
	},
}, {
	says: "it is no alias for a DNS name",
	unmet: func(_ Rules, source Source, _ Target) bool {
		return source.Service.Spec.Type == corev1.ServiceTypeExternalName
	},
	verdict: func(_ Rules, source Source, _ Target) Verdict {
		return refused(ExternalName, "it is an alias for %s and has no endpoints; create the same alias in the other cluster", source.Service.Spec.ExternalName)
	},
}, {
	says:  "the target exports no Service of its name",
	of:    pointerNames,
	unmet: func(_ Rules, _ Source, target Target) bool { return target.exports() },
	verdict: func(Rules, Source, Target) Verdict {
		return refused(ExportedByBoth, "both clusters export a Service of this name; remove the label from one of them, or annotate both with %s", joiningModes)
	},
}, {
	says:  "the Service that the target exports asks for the same mode",
	of:    joinedNames,
	unmet: func(_ Rules, source Source, target Target) bool { return !agree(source.Service, target.Native.Service) },
	verdict: func(_ Rules, source Source, target Target) Verdict {
		return modeVerdict(ModeOf(source.Service), ModeOf(target.Native.Service))
	},
}, {
	says: "both Services have a selector and an address of their own",
	of:   joinedNames,
	unmet: func(_ Rules, source Source, target Target) bool {
		return !canBeJoined(source.Service) || !canBeJoined(target.Native.Service)
	},
	verdict: func(_ Rules, source Source, _ Target) Verdict { return notJoinableVerdict(source.Service) },
}, {
	says: "both Services have the same ports, by name and protocol",
	of:   joinedNames,
	unmet: func(_ Rules, source Source, target Target) bool {
		return !haveSamePorts(source.Service, target.Native.Service)
	},
	verdict: func(_ Rules, source Source, target Target) Verdict {
		return portVerdict(source.Service, target.Native.Service)
	},
}, {
	says:  "the target has its namespace, or may get it",
	unmet: func(r Rules, _ Source, target Target) bool { return target.Namespace == nil && !r.CreateNamespaces },
	verdict: func(_ Rules, source Source, _ Target) Verdict {
		return refused(NamespaceMissing, "the other cluster has no namespace %s; create it, or run with --create-namespaces", source.Service.Namespace)
	},
}, {
	says: "the target is not deleting its namespace",
	unmet: func(_ Rules, _ Source, target Target) bool {
		return target.Namespace != nil && target.Namespace.DeletionTimestamp != nil
	},
	verdict: func(_ Rules, source Source, _ Target) Verdict {
		return refused(NamespaceTerminating, "the other cluster is deleting namespace %s; it resumes when the namespace is created again", source.Service.Namespace)
	},
}, {
	says: "its namespace in the target takes pointers",
	unmet: func(_ Rules, _ Source, target Target) bool {
		return target.Namespace != nil && target.Namespace.Labels[LabelExport] == OptedOut
	},
	verdict: func(_ Rules, source Source, _ Target) Verdict {
		return refused(NamespaceOptedOut, "namespace %s in the other cluster is labelled %s=%s; remove that label", source.Service.Namespace, LabelExport, OptedOut)
	},
}, {
	says: "the target's Services can have one of its IP families",
	unmet: func(_ Rules, source Source, target Target) bool {
		return len(target.familiesFor(source.Service)) == 0
	},
	verdict: func(_ Rules, source Source, target Target) Verdict {
		if target.exports() {
			return refused(NoSharedIPFamily, "it has %v, the Service in the other cluster has %v; give both a family in common",
				source.Service.Spec.IPFamilies, target.Native.Service.Spec.IPFamilies)
		}
		return refused(NoSharedIPFamily, "it has %v, the other cluster's Services have %v; give it a family of both",
			source.Service.Spec.IPFamilies, target.Network.Families)
	},
}, {
	says:    "nothing that is not xcc's has its name in the target",
	of:      pointerNames,
	unmet:   func(r Rules, _ Source, target Target) bool { return r.inTheWay(target.Copies) != nil },
	verdict: func(r Rules, _ Source, target Target) Verdict { return r.conflict(r.inTheWay(target.Copies)) },
}}

// judge decides whether a pointer is to exist, or, where both clusters export the name, whether the two are to be joined.
func (r Rules) judge(source Source, target Target) Verdict {
	for _, demand := range demands {
		if demand.of.includes(source, target) && demand.unmet(r, source, target) {
			return demand.verdict(r, source, target)
		}
	}
	return Verdict{State: Mirrored}
}

// includes reports whether a name is of this kind. For a kind that is not every name, the source has to export it.
func (s subject) includes(source Source, target Target) bool {
	switch s {
	case joinedNames:
		return target.joins(source)
	case pointerNames:
		return !target.joins(source)
	}
	return true
}

// isReserved reports whether the Service is part of Kubernetes. A pointer in kube-system, or for the API server itself,
// would hand one cluster's control plane to the other.
func isReserved(service *corev1.Service) bool {
	return strings.HasPrefix(service.Namespace, "kube-") ||
		service.Namespace == metav1.NamespaceDefault && service.Name == "kubernetes"
}

// sharedFamilies gives the families of the Service that the target has too, in the Service's order.
func sharedFamilies(service *corev1.Service, target []corev1.IPFamily) []corev1.IPFamily {
	var shared []corev1.IPFamily
	for _, family := range service.Spec.IPFamilies {
		if slices.Contains(target, family) {
			shared = append(shared, family)
		}
	}
	return shared
}

// inTheWay gives an object that is not ours and because of which there can be no pointer: a Service of its name, or
// Endpoints as long as the pointer has no Service. A Service put on top of somebody's Endpoints would send its traffic
// to their addresses, and Kubernetes would delete them with it.
func (r Rules) inTheWay(copies []*Copy) *Copy {
	for _, c := range copies {
		if c.Kind == KindService && !r.isPointerService(c) {
			return c
		}
	}
	if r.liveService(copies) == nil {
		return r.foreignEndpoints(copies)
	}
	return nil
}

// isPointerService reports whether the Service is the pointer's, also where somebody took its label away. Then it is not
// touched any more, but the slices and Endpoints behind it, which have theirs, are still kept right.
func (r Rules) isPointerService(c *Copy) bool {
	return c.Kind == KindService && r.isFromHere(c)
}

func (r Rules) foreignEndpoints(copies []*Copy) *Copy {
	for _, c := range copies {
		if c.Kind == KindEndpoints && !r.owns(c) {
			return c
		}
	}
	return nil
}

func (r Rules) conflict(c *Copy) Verdict {
	if r.isFromHere(c) && !c.Follower {
		return refused(Conflict, "%s in the other cluster has lost its label %s=%s, and is not touched without; delete it, or take the annotations fair.com/origin-… off as well to make it a Service of that cluster's own", c, LabelExport, Follower)
	}
	return refused(Conflict, "%s in the other cluster is not xcc's; delete or rename it, or remove the label here", c)
}

// liveService is the pointer's Service as it stands in the target; nil where there is none.
func (r Rules) liveService(copies []*Copy) *Copy {
	for _, c := range copies {
		if r.isPointerService(c) {
			return c
		}
	}
	return nil
}

// strangers tells of objects under a name that carry our marks for another source: of a third cluster, or of one that
// this side was paired with before. They are left alone.
func (r Rules) strangers(copies []*Copy) string {
	for _, c := range sorted(copies) {
		if c.Follower && c.OriginCluster != "" && c.OriginCluster != r.Cluster {
			return fmt.Sprintf("%s comes from cluster %s (%s), which is not the source here; it is left alone", c, c.OriginCluster, c.OriginName)
		}
	}
	return ""
}
