// Package report shows what the engine knows: the tables of `xcc status`, the reasoning of `xcc explain`, the text of
// `xcc diff`, and the daemon's metrics, health and status page.
package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"xcc/sync"
)

// NotWritten is the reason of a name whose pointer is not as it is to be, though nothing hinders it: no daemon runs, or it
// has yet to come to it.
const NotWritten sync.Reason = "NotWritten"

// Row is what there is to say of one name in one direction.
type Row struct {
	Namespace string      `json:"namespace"`
	Name      string      `json:"name"`
	From      string      `json:"from"`
	To        string      `json:"to"`
	Verdict   sync.State  `json:"verdict"`
	Reason    sync.Reason `json:"reason,omitempty"`
	Message   string      `json:"message,omitempty"`
	// Ready and Total count the addresses of the pointer as it stands.
	Ready int `json:"ready"`
	Total int `json:"total"`
	// InSync: nothing is to be written. Where something is, LagSeconds is how long ago the source changed; nothing where it
	// doesn't say.
	InSync     bool     `json:"inSync"`
	LagSeconds *float64 `json:"lagSeconds,omitempty"`
	// Created is when the pointer was made; nothing where there is none.
	Created *time.Time `json:"created,omitempty"`
}

// rowOf sums up a look. It gives no row for a name that has neither an exported Service nor anything to say of.
func rowOf(mirror *sync.Mirror, look sync.Look, now time.Time) (Row, bool) {
	verdict := look.Plan.Verdict
	row := Row{
		Namespace: look.Key.Namespace, Name: look.Key.Name, From: mirror.Rules.Name, To: mirror.To,
		Verdict: verdict.State, Reason: verdict.Reason, Message: verdict.Message,
		InSync: len(look.Plan.Changes) == 0,
	}
	if row.InSync && verdict == (sync.Verdict{State: sync.Withdrawn}) {
		return Row{}, false
	}
	if !row.InSync && (verdict.State == sync.Mirrored || verdict.State == sync.Withdrawn) {
		row.Verdict, row.Reason, row.Message = sync.Pending, NotWritten, "to "+sync.Summary(look.Plan.Changes)
	}
	service, ready, total := mirror.Pointer(look.Target)
	row.Ready, row.Total = ready, total
	if service != nil {
		created := time.Unix(service.Created, 0).UTC()
		row.Created = &created
	}
	if changed, known := sync.LastChange(look.Source.Slices); !row.InSync && known {
		lag := now.Sub(changed).Seconds()
		row.LagSeconds = &lag
	}
	return row, true
}

func sortRows(rows []Row) {
	slices.SortFunc(rows, func(a, b Row) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name), cmp.Compare(a.From, b.From))
	})
}

// why is the reason and what to do about it, in one line.
func (r Row) why() string {
	switch {
	case r.Reason == "":
		return r.Message
	case r.Message == "":
		return string(r.Reason)
	}
	return string(r.Reason) + ": " + strings.ReplaceAll(r.Message, "\n", " ")
}

func (r Row) addresses() string {
	if r.Created == nil && r.Total == 0 {
		return "-"
	}
	return fmt.Sprintf("%d/%d", r.Ready, r.Total)
}

func (r Row) lag() string {
	switch {
	case r.InSync:
		return "-"
	case r.LagSeconds == nil:
		return "?"
	}
	return age(time.Duration(*r.LagSeconds * float64(time.Second)))
}

func (r Row) age(now time.Time) string {
	if r.Created == nil {
		return "-"
	}
	return age(now.Sub(*r.Created))
}

func portsOf(service *corev1.Service) string {
	var ports []string
	for _, port := range service.Spec.Ports {
		ports = append(ports, strings.TrimSpace(fmt.Sprintf("%s %d/%s", port.Name, port.Port, cmp.Or(port.Protocol, corev1.ProtocolTCP))))
	}
	return strings.Join(ports, ", ")
}

func addressesOf(all []*discoveryv1.EndpointSlice) (ready, total int) {
	for _, slice := range all {
		for _, endpoint := range slice.Endpoints {
			total += len(endpoint.Addresses)
			if endpoint.Conditions.Ready == nil || *endpoint.Conditions.Ready {
				ready += len(endpoint.Addresses)
			}
		}
	}
	return ready, total
}
