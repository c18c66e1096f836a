package sync

import "fmt"

// State is the short form of a [Verdict].
type State string

// The states of a name in one direction.
const (
	// Mirrored: the pointer is to exist, exactly as projected; or, where both clusters export the name, all is as their mode
	// wants it.
	Mirrored State = "Mirrored"
	// Withdrawn: the source exports nothing under this name, so no pointer is to exist.
	Withdrawn State = "Withdrawn"
	// Pending: the decision, or carrying it out, waits for something that comes by itself.
	Pending State = "Pending"
	// Refused: the source exports the name, but it can't be mirrored, or not whole. The reason says why.
	Refused State = "Refused"
)

// Reason says, as one word, why a name is refused or pending, or how it is joined.
type Reason string

// The reasons of a mirrored name that both clusters export.
const (
	// Joined: the addresses of both stand in the target.
	Joined Reason = "Joined"
	// Standby: those of the source don't, as the target has enough ready ones of its own.
	Standby Reason = "Standby"
	// FailedOver: they do, as it has too few.
	FailedOver Reason = "FailedOver"
)

// The reasons of a refusal. Each clears by itself when its cause goes.
const (
	Conflict             Reason = "Conflict"
	ExportedByBoth       Reason = "ExportedByBoth"
	ModesDisagree        Reason = "ModesDisagree"
	NotJoinable          Reason = "NotJoinable"
	PortConflict         Reason = "PortConflict"
	MinReadyInvalid      Reason = "MinReadyInvalid"
	NamespaceMissing     Reason = "NamespaceMissing"
	NamespaceTerminating Reason = "NamespaceTerminating"
	NamespaceOptedOut    Reason = "NamespaceOptedOut"
	ReservedNamespace    Reason = "ReservedNamespace"
	ExternalName         Reason = "ExternalName"
	NoSharedIPFamily     Reason = "NoSharedIPFamily"
	AddressDenied        Reason = "AddressDenied"
	NoEndpointsLabelled  Reason = "NoEndpointsLabelled"
	Drained              Reason = "Drained"
	Held                 Reason = "Held"
	SourceUnproven       Reason = "SourceUnproven"
)

// The reasons of a pending name.
const (
	// EndpointsUnknown: Kubernetes has not made the Service's EndpointSlices yet, or not labelled them.
	EndpointsUnknown Reason = "EndpointsUnknown"
	// PointerStands: the watches tell of a pointer beside the Service that has taken its name.
	PointerStands Reason = "PointerStands"
	// SlicesStand: so do EndpointSlices of a Service of the target's own that had its name.
	SlicesStand Reason = "SlicesStand"
	// WriteFailed: the target refused a write; it is tried again.
	WriteFailed Reason = "WriteFailed"
)

// Reasons are all of them: what may keep a Service from being mirrored must not be missing where they are counted.
var Reasons = []Reason{
	Joined, Standby, FailedOver,
	EndpointsUnknown, PointerStands, SlicesStand, WriteFailed,
	Conflict, ExportedByBoth, ModesDisagree, NotJoinable, PortConflict, MinReadyInvalid,
	NamespaceMissing, NamespaceTerminating, NamespaceOptedOut, ReservedNamespace,
	ExternalName, NoSharedIPFamily, AddressDenied, NoEndpointsLabelled, Drained, Held, SourceUnproven,
}

// Verdict is what a direction decides for one name.
type Verdict struct {
	State   State
	Reason  Reason // empty for a pointer that is Mirrored, and for Withdrawn
	Message string // what was found, and the action that would change it; empty where there is nothing to say
}

func (v Verdict) String() string {
	text := string(v.State)
	if v.Reason != "" {
		text += " " + string(v.Reason)
	}
	if v.Message != "" {
		text += ": " + v.Message
	}
	return text
}

func refused(reason Reason, format string, arguments ...any) Verdict {
	return Verdict{State: Refused, Reason: reason, Message: fmt.Sprintf(format, arguments...)}
}

func pending(reason Reason, format string, arguments ...any) Verdict {
	return Verdict{State: Pending, Reason: reason, Message: fmt.Sprintf(format, arguments...)}
}
