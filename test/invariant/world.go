package invariant

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// XCC is the identity of xcc's manifests, in both clusters.
const XCC = "system:serviceaccount:xcc:xcc"

// The marks, as the design says them.
const (
	exportLabel   = "fair.com/cross-cluster"
	originCluster = "fair.com/origin-cluster"
	originName    = "fair.com/origin-name"
	originUID     = "fair.com/origin-uid"
	managedByXCC  = "xcc.fair.com"
)

// Side is one cluster and what it has to tell.
type Side struct {
	Name string
	// UID is that of its kube-system namespace.
	UID types.UID
	// ServiceCIDRs are the ranges of its Services' addresses.
	ServiceCIDRs []netip.Prefix
	Requests     []Request
	History      *History
}

// World is all there is to judge.
type World struct {
	A, B Side
	// MaxDeletePercent is the daemon's flag.
	MaxDeletePercent int
	// Releases are when an operator let withdrawals through: what goes meanwhile is not counted, and the brake starts anew.
	// That what was held came back is no release: what had gone before still counts.
	Releases []Interval
	// Group divides the namespaces among daemons that keep separate counts of what they withdraw; nil where there is one.
	Group func(namespace string) string
	// KeepsCount tells in which namespaces xcc may keep its ConfigMap.
	KeepsCount func(namespace string) bool
}

// Interval is a time between two others.
type Interval struct{ From, To time.Time }

// Violation is one broken promise.
type Violation struct {
	// Invariant is its number, such as I4.
	Invariant string
	// Sentence says what has happened, Evidence what shows it.
	Sentence string
	Evidence []string
}

func (v Violation) String() string {
	return v.Invariant + ": " + v.Sentence + "\n    " + strings.Join(v.Evidence, "\n    ")
}

// Report is what a look at a world has found.
type Report struct {
	Violations []Violation
	// Writes counts xcc's writes that landed, Destructions those among them that took something away. A run in which
	// there were none has shown nothing.
	Writes, Destructions int
	// Unjudged are writes about which the witnesses don't tell enough.
	Unjudged []string
}

// Writes judges each write that xcc has made: I1 to I6 and I9.
func (w World) Writes() Report {
	var report Report
	for _, d := range w.directions() {
		d.judgeWrites(&report)
		d.judgeProofs(&report)
		d.judgeBrake(&report)
	}
	return report
}

// direction is one source and one target.
type direction struct {
	world  World
	source Side
	target Side
}

func (w World) directions() []direction {
	return []direction{{w, w.A, w.B}, {w, w.B, w.A}}
}

func (d direction) String() string {
	return d.source.Name + "→" + d.target.Name
}

// asked are xcc's requests to a side in the order in which they arrived.
func (s Side) asked() []Request {
	var all []Request
	for _, request := range s.Requests {
		if request.User == XCC {
			all = append(all, request)
		}
	}
	slices.SortStableFunc(all, func(a, b Request) int { return a.Received.Compare(b.Received) })
	return all
}

func (r *Report) violated(invariant string, evidence []string, format string, arguments ...any) {
	r.Violations = append(r.Violations, Violation{Invariant: invariant, Sentence: fmt.Sprintf(format, arguments...), Evidence: evidence})
}

// isMarked reports whether an object says that it was mirrored.
func isMarked(object metav1.Object) bool {
	annotations := object.GetAnnotations()
	return annotations[originCluster] != "" || annotations[originName] != "" || annotations[originUID] != ""
}

// owns reports whether an object of the target is this direction's.
func (d direction) owns(object Object) bool {
	if object == nil || object.GetLabels()[exportLabel] != "follower" || object.GetAnnotations()[originCluster] != string(d.source.UID) {
		return false
	}
	return !isSlice(object) || object.GetLabels()["endpointslice.kubernetes.io/managed-by"] == managedByXCC
}

func describe(version *Version) string {
	if version == nil {
		return "there was no such version"
	}
	if version.Object == nil {
		return fmt.Sprintf("%s was gone at revision %d", version.ID, version.Revision)
	}
	return fmt.Sprintf("%s at revision %d: UID %s, labels %v, annotations %v", version.ID, version.Revision,
		version.Object.GetUID(), version.Object.GetLabels(), version.Object.GetAnnotations())
}

// Sorted puts violations into an order that does not depend on the run.
func Sorted(violations []Violation) []Violation {
	return slices.SortedFunc(slices.Values(violations), func(a, b Violation) int {
		return cmp.Or(cmp.Compare(a.Invariant, b.Invariant), cmp.Compare(a.Sentence, b.Sentence))
	})
}
