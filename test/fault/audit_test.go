package fault

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"xcc/test/cluster"
)

// xccUser is the identity of the manifests.
const xccUser = "system:serviceaccount:xcc:xcc"

// mark is the present end of a side's audit log.
func (s *side) mark(t *testing.T) cluster.AuditMark {
	t.Helper()
	mark, err := s.AuditMark()
	mustBe(t, err)
	return mark
}

// writes are what xcc has asked a cluster to change of Services and their endpoints in the test's namespace since a mark,
// in the order in which the cluster was done with it. Those that the cluster refused are among them.
func (s *side) writes(t *testing.T, since cluster.AuditMark) []cluster.AuditEvent {
	t.Helper()
	events, err := s.Audit(since)
	mustBe(t, err)
	var chosen []cluster.AuditEvent
	for _, event := range events {
		if event.User == xccUser && event.Namespace == s.rig.namespace && event.Write() && event.Resource != "configmaps" {
			chosen = append(chosen, event)
		}
	}
	return chosen
}

// landed tells whether a write has changed something.
func landed(event cluster.AuditEvent) bool { return event.Code >= 200 && event.Code < 300 }

func describe(event cluster.AuditEvent) string {
	return fmt.Sprintf("%s %s %s → %d", event.Verb, event.Resource, event.Name, event.Code)
}

// wroteNothing fails if xcc has asked for any change since a mark.
func (s *side) wroteNothing(t *testing.T, since cluster.AuditMark) {
	t.Helper()
	for _, event := range s.writes(t, since) {
		t.Errorf("%s: xcc was not to write, and asked for %s", s.Name, describe(event))
	}
}

// lostNothing fails if xcc has deleted something since a mark, or left a pointer's slices or Endpoints without addresses.
func (s *side) lostNothing(t *testing.T, since cluster.AuditMark) {
	t.Helper()
	for _, event := range s.writes(t, since) {
		if event.Verb == "delete" || empties(t, event) {
			t.Errorf("%s: xcc was not to take anything away, and asked for %s", s.Name, describe(event))
		}
	}
}

// bornEmpty fails if xcc has created a slice or Endpoints without addresses since a mark.
func (s *side) bornEmpty(t *testing.T, since cluster.AuditMark) {
	t.Helper()
	for _, event := range s.writes(t, since) {
		if event.Verb == "create" && isEmpty(t, event) {
			t.Errorf("%s: xcc has written a pointer without addresses: %s", s.Name, describe(event))
		}
	}
}

// empties tells whether a write leaves a slice or Endpoints that were there without addresses.
func empties(t *testing.T, event cluster.AuditEvent) bool {
	t.Helper()
	return event.Verb == "update" && isEmpty(t, event)
}

func isEmpty(t *testing.T, event cluster.AuditEvent) bool {
	t.Helper()
	switch event.Resource {
	case "endpointslices":
		return len(decode[discoveryv1.EndpointSlice](t, event.RequestObject).Endpoints) == 0
	case "endpoints":
		for _, subset := range decode[corev1.Endpoints](t, event.RequestObject).Subsets {
			if len(subset.Addresses) > 0 {
				return false
			}
		}
		return true
	}
	return false
}

// decode reads an object of the log. There is none where the connection broke before the request was read, or before it
// was answered.
func decode[T any](t *testing.T, raw json.RawMessage) (object T) {
	t.Helper()
	if len(raw) == 0 {
		return object
	}
	if err := json.Unmarshal(raw, &object); err != nil {
		t.Fatalf("%v in %s", err, raw)
	}
	return object
}

// checkWrites holds everything that xcc has written to what must hold at every instant: it creates what carries its
// marks, and changes and deletes nothing but what it has created, in exactly the version that it has seen.
func checkWrites(t *testing.T, s *side, since cluster.AuditMark) {
	t.Helper()
	// What an API server has carried out, and was killed before it could record, is not in its log.
	created := map[string]bool{}
	for _, event := range s.writes(t, since) {
		if event.Verb == "create" && landed(event) {
			created[string(decode[metav1.PartialObjectMetadata](t, event.ResponseObject).UID)] = true
		}
	}
	for _, event := range s.writes(t, since) {
		if len(event.RequestObject) == 0 && !landed(event) {
			continue
		}
		wrong := func(what string) { t.Errorf("%s: %s: %s\n%s", s.Name, describe(event), what, event.RequestObject) }
		switch event.Verb {
		case "create", "update":
			meta := decode[metav1.PartialObjectMetadata](t, event.RequestObject)
			if meta.Labels["fair.com/cross-cluster"] != "follower" || meta.Annotations["fair.com/origin-cluster"] != string(s.other.uid) {
				wrong("it has not the marks of the other side")
			}
			if event.Verb == "create" {
				continue
			}
			if meta.UID == "" || meta.ResourceVersion == "" {
				wrong("it names no version")
			}
			if !created[string(meta.UID)] && landed(event) {
				wrong("xcc has not created that")
			}
		case "delete":
			options := decode[metav1.DeleteOptions](t, event.RequestObject)
			if options.Preconditions == nil || options.Preconditions.UID == nil || options.Preconditions.ResourceVersion == nil {
				wrong("it names no version")
			} else if !created[string(*options.Preconditions.UID)] && landed(event) {
				wrong("xcc has not created that")
			}
		default:
			wrong("xcc never asks for that")
		}
	}
}

// count gives how many writes of one verb and resource have landed since a mark.
func (s *side) count(t *testing.T, since cluster.AuditMark, verb, resource string) int {
	t.Helper()
	count := 0
	for _, event := range s.writes(t, since) {
		if event.Verb == verb && event.Resource == resource && landed(event) {
			count++
		}
	}
	return count
}

// readsAnyVersion gives xcc's reads since a mark that any old cache may answer.
func (s *side) readsAnyVersion(t *testing.T, since cluster.AuditMark) []string {
	t.Helper()
	events, err := s.Audit(since)
	mustBe(t, err)
	var found []string
	for _, event := range events {
		if event.User == xccUser && strings.Contains(event.RequestURI+"&", "resourceVersion=0&") {
			found = append(found, event.RequestURI)
		}
	}
	return found
}
