package sync

import "fmt"

// State is the short form of a [Verdict].
type State string

// The states of a name in one direction.
const (
	// Mirrored: the pointer is to exist, exactly as projected.
	Mirrored State = "Mirrored"
	// Withdrawn: the source exports nothing under this name, so no pointer is to exist.
	Withdrawn State = "Withdrawn"
	// Pending: the decision, or carrying it out, waits for something that comes by itself.
	Pending State = "Pending"
	// Refused: the source exports the name, but it can't be mirrored, or not whole. The reason says why.
	Refused State = "Refused"
)

// Reason says, as one word, why a name is refused or pending.
type Reason string

// The reasons of a refusal. Each clears by itself when its cause goes.
const (
	Conflict             Reason = "Conflict"
	ExportedByBoth       Reason = "ExportedByBoth"
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
	// WriteFailed: the target refused a write; it is tried again.
	WriteFailed Reason = "WriteFailed"
)

// Verdict is what a direction decides for one name.
type Verdict struct {
	State   State
	Reason  Reason // empty for Mirrored and Withdrawn
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
