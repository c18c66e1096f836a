package report

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"xcc/sync"
)

// Explanation is the whole reasoning about one name, in each direction.
type Explanation struct {
	Namespace  string      `json:"namespace"`
	Name       string      `json:"name"`
	Directions []Reasoning `json:"directions"`
}

// Reasoning is that of one direction.
type Reasoning struct {
	Row `json:",inline"`
	// Source and Target say what was found, a line for each thing.
	Source []string `json:"source"`
	Target []string `json:"target"`
	// Steps are the demands on the name in their order, up to one that is not met.
	Steps []Step `json:"steps"`
	// Changes are the writes that carry the verdict out; none where nothing is to be done.
	Changes string `json:"changes,omitempty"`
}

// Step is one demand, and whether it is met.
type Step struct {
	Demand string `json:"demand"`
	Met    bool   `json:"met"`
}

// Explain looks at one name in both directions, and writes nothing.
func Explain(ctx context.Context, hub *sync.Hub, key sync.Key) (Explanation, error) {
	if err := hub.WaitSynced(ctx); err != nil {
		return Explanation{}, err
	}
	explanation := Explanation{Namespace: key.Namespace, Name: key.Name}
	for _, mirror := range hub.Mirrors {
		if !mirror.InScope(key.Namespace) {
			return explanation, fmt.Errorf("namespace %s is left out by --namespace or --exclude-namespace", key.Namespace)
		}
		// What could not be read is part of the reasoning.
		looks, _ := mirror.Inspect(ctx, []sync.Key{key}, 1)
		unlabelled, err := unlabelled(ctx, hub, mirror, looks[0])
		if err != nil {
			return explanation, err
		}
		explanation.Directions = append(explanation.Directions, reasoningOf(mirror, looks[0], unlabelled, time.Now()))
	}
	return explanation, errors.Join(ctx.Err())
}

// unlabelled gives the Service of the name that the source has and doesn't export. The other direction can read it.
func unlabelled(ctx context.Context, hub *sync.Hub, mirror *sync.Mirror, look sync.Look) (sync.Object, error) {
	if look.Source.Service != nil {
		return nil, nil
	}
	for _, other := range hub.Mirrors {
		if other != mirror {
			return other.Objects.Read(ctx, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: look.Key.Namespace, Name: look.Key.Name}})
		}
	}
	return nil, nil
}

func reasoningOf(mirror *sync.Mirror, look sync.Look, unlabelled sync.Object, now time.Time) Reasoning {
	row, _ := rowOf(mirror, look, now)
	if row.Verdict == "" {
		row = Row{Namespace: look.Key.Namespace, Name: look.Key.Name, From: mirror.Rules.Name, To: mirror.To, Verdict: sync.Withdrawn, InSync: true}
	}
	reasoning := Reasoning{
		Row: row, Source: sourceFacts(look, unlabelled, now), Target: targetFacts(mirror, look, now), Changes: sync.Summary(look.Plan.Changes),
	}
	for _, step := range mirror.Steps(look) {
		reasoning.Steps = append(reasoning.Steps, Step(step))
	}
	return reasoning
}

func sourceFacts(look sync.Look, unlabelled sync.Object, now time.Time) []string {
	service := look.Source.Service
	switch {
	case service == nil && unlabelled != nil && sync.IsMirrored(unlabelled):
		return []string{"the Service of this name is a pointer"}
	case service == nil && unlabelled != nil:
		return []string{"the Service of this name is not exported: it has not the label"}
	case service == nil:
		return []string{"no exported Service of this name"}
	}
	ready, total := addressesOf(look.Source.Slices)
	endpoints := fmt.Sprintf("%d of %s ready, in %s", ready, plural(total, "address"), plural(len(look.Source.Slices), "EndpointSlice"))
	if changed, known := sync.LastChange(look.Source.Slices); known {
		endpoints += fmt.Sprintf(", changed %s ago", age(now.Sub(changed)))
	}
	facts := []string{
		"Service " + shapeOf(service),
		"ports " + cmp.Or(portsOf(service), "none"),
		endpoints,
	}
	if pointer := look.Plan.Pointer; pointer != nil && len(pointer.Denied) > 0 {
		facts = append(facts, "may not be mirrored: "+someOf(pointer.Denied))
	}
	if mode := sync.ModeOf(service); mode != sync.ModePointer {
		facts = append(facts, fmt.Sprintf("mode %s", mode))
	}
	return facts
}

// named is how many addresses a line names.
const named = 10

func someOf(addresses []string) string {
	if len(addresses) <= named {
		return strings.Join(addresses, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(addresses[:named], ", "), len(addresses)-named)
}

// nativeFacts are about the Service of the name that the target itself exports.
func nativeFacts(target sync.Target) []string {
	service, fact := target.Native.Service, "an exported Service of this name"
	mode := sync.ModeOf(service)
	if mode == sync.ModePointer {
		return []string{fact}
	}
	facts := []string{fact + ", " + shapeOf(service), "its ports " + cmp.Or(portsOf(service), "none"), fmt.Sprintf("its mode %s", mode)}
	if mode != sync.ModeFailover {
		return facts
	}
	minimum, _ := sync.MinReady(service)
	if ready, known := target.OwnReady(); known {
		return append(facts, fmt.Sprintf("%d of its own addresses ready, of at least %d that it needs", ready, minimum))
	}
	return append(facts, "how many of its own addresses are ready is not known")
}

// shapeOf says of what type a Service is, and of which IP families.
func shapeOf(service *corev1.Service) string {
	shape := string(cmp.Or(service.Spec.Type, corev1.ServiceTypeClusterIP))
	if service.Spec.ClusterIP == corev1.ClusterIPNone {
		shape = "headless"
	}
	for _, family := range service.Spec.IPFamilies {
		shape += ", " + string(family)
	}
	if len(service.Spec.Selector) == 0 {
		shape += ", without selector"
	}
	return shape
}

func targetFacts(mirror *sync.Mirror, look sync.Look, now time.Time) []string {
	var facts []string
	switch namespace := look.Target.Namespace; {
	case namespace == nil:
		facts = append(facts, "no namespace "+look.Key.Namespace)
	case namespace.DeletionTimestamp != nil:
		facts = append(facts, "namespace "+look.Key.Namespace+", which is being deleted")
	default:
		facts = append(facts, "namespace "+look.Key.Namespace)
	}
	if look.Target.Native.Service != nil {
		facts = append(facts, nativeFacts(look.Target)...)
	}
	pointer, ready, total := mirror.Pointer(look.Target)
	if pointer != nil {
		facts = append(facts, fmt.Sprintf("a pointer, %s old, %d of %s ready", age(now.Sub(time.Unix(pointer.Created, 0))), ready, plural(total, "address")))
	}
	for _, c := range look.Target.Copies {
		switch {
		case c.OriginCluster == "":
			facts = append(facts, c.Kind.String()+" "+c.Name+", which is not xcc's")
		case c.OriginCluster != mirror.Heartbeat.UID():
			facts = append(facts, fmt.Sprintf("%s %s, which comes from %s (%s)", c.Kind, c.Name, c.OriginName, c.OriginCluster))
		}
	}
	switch {
	case pointer == nil && total > 0:
		facts = append(facts, fmt.Sprintf("%d of %s that were added to it ready", ready, plural(total, "address")))
	case pointer == nil:
		facts = append(facts, "no pointer")
	}
	return facts
}

// Write writes the explanation.
func (e Explanation) Write(out io.Writer, format Format) error {
	if format != Table {
		return encode(e, format, out)
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%s/%s\n", e.Namespace, e.Name)
	for _, direction := range e.Directions {
		direction.write(&text)
	}
	_, err := io.WriteString(out, text.String())
	return err
}

func (r Reasoning) write(text *strings.Builder) {
	fmt.Fprintf(text, "\n%s → %s\n", r.From, r.To)
	for _, side := range []struct {
		name  string
		facts []string
	}{{r.From, r.Source}, {r.To, r.Target}} {
		fmt.Fprintf(text, "  found in %s\n", side.name)
		for _, fact := range side.facts {
			fmt.Fprintf(text, "    %s\n", fact)
		}
	}
	fmt.Fprintln(text, "  reasoning")
	for _, step := range r.Steps {
		sign := "√"
		if !step.Met {
			sign = "×"
		}
		fmt.Fprintf(text, "    %s %s\n", sign, step.Demand)
	}
	verdict := string(r.Verdict)
	if r.Reason != "" {
		verdict += " " + string(r.Reason)
	}
	fmt.Fprintf(text, "  verdict\n    %s\n", verdict)
	if r.Message != "" {
		fmt.Fprintf(text, "    %s\n", r.Message)
	}
	if r.Changes != "" {
		fmt.Fprintf(text, "  a sync would now\n    %s\n", r.Changes)
	}
}
