package clusters

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"
)

var checkedAt = time.Date(2026, 1, 15, 10, 0, 0, 0, time.UTC)

func healthy(name string, edits ...func(*Facts)) Facts {
	facts := Facts{
		Name: name, Part: Part{Source: true, Target: true}, Identity: Identity{System: types.UID("uid-of-" + name)},
		Version: "v1.36.3", Asked: 40, Login: "token",
		Exports: Exports{Known: true, Count: 3}, StraysKnown: true,
	}
	for _, edit := range edits {
		edit(&facts)
	}
	return facts
}

func TestJudge(t *testing.T) {
	same := func(f *Facts) { f.Identity = Identity{System: "one"} }
	addresses := func(ranges ...Range) func(*Facts) { return func(f *Facts) { f.Ranges = ranges } }
	// What is judged of two clusters of which the second is healthy: all findings that did not pass.
	tests := []struct {
		name string
		a, b Facts
		want []Finding
	}{
		{"two healthy clusters", healthy("east"), healthy("west"), nil},
		{"one that does not answer", healthy("east", func(f *Facts) { f.Problem = errors.New("connection refused") }), healthy("west"), []Finding{
			{"identity", Failure, "east", "can't be asked: connection refused", "see that the server is up and reachable from here, and that the context's credentials are valid"}}},
		{"one cluster twice", healthy("east", same), healthy("west", same), []Finding{
			{"identity", Failure, "", "east and west are one cluster", "name two clusters with --context-a and --context-b"}}},
		{"a missing permission without which nothing works", healthy("east", func(f *Facts) {
			f.Missing = []Permission{
				{Verb: "create", Resource: "services", Manifest: "rbac-target.yaml"}, {Verb: "update", Resource: "services", Manifest: "rbac-target.yaml"},
			}
		}), healthy("west"), []Finding{
			{"permissions", Failure, "east", "does not let the token create, update services", "run xcc link, or apply manifests/rbac-target.yaml"}}},
		{"a missing permission that xcc can do without", healthy("east", func(f *Facts) {
			f.Missing = []Permission{{Verb: "list", Group: "networking.k8s.io", Resource: "servicecidrs", Manifest: "rbac-target.yaml", Without: "it guesses"}}
		}), healthy("west"), []Finding{
			{"permissions", Warning, "east", "does not let the token list servicecidrs.networking.k8s.io", "run xcc link, or apply manifests/rbac-target.yaml; without it it guesses"}}},
		{"a target without EndpointSlices", healthy("east", func(f *Facts) { f.Absent = []string{kindSlices} }), healthy("west"), []Finding{
			{"versions", Failure, "east", "does not serve " + kindSlices, "update the cluster to Kubernetes 1.21 or newer"}}},
		{"a token that has ended", healthy("east", func(f *Facts) { f.Ends = checkedAt.Add(-time.Hour) }), healthy("west"), []Finding{
			{"credentials", Failure, "east", "is logged in to by a token that ended at 2026-01-15T09:00:00Z", "renew it; xcc link writes a kubeconfig with tokens that do not end"}}},
		{"a token that ends soon", healthy("east", func(f *Facts) { f.Ends = checkedAt.Add(time.Hour) }), healthy("west"), []Finding{
			{"credentials", Warning, "east", "is logged in to by a token that ends at 2026-01-15T11:00:00Z", "see that it is renewed by then; xcc link writes a kubeconfig with tokens that do not end"}}},
		{"a clock that is behind", healthy("east", func(f *Facts) { f.Skew = -time.Hour }), healthy("west"), []Finding{
			{"clocks", Warning, "east", "has a clock 1h0m0s behind this host's", "see that both follow a time server: tokens and certificates count by the clock"}}},
		{"nodes that may not be listed", healthy("east", func(f *Facts) { f.NodesHidden = true }), healthy("west"), []Finding{
			{"network", Warning, "east", "does not let the token list Nodes, so of its addresses only those of Services and exported endpoints are compared", "run the check with an administrator's contexts as well"}}},
		{"pod ranges that overlap", healthy("east", addresses(rangeOf("10.1.0.0/24", PodRange), rangeOf("10.1.1.0/24", PodRange))),
			healthy("west", addresses(rangeOf("10.1.0.0/16", PodRange))), []Finding{
				{"network", Failure, "", "pod range 10.1.0.0/24 of east overlaps pod range 10.1.0.0/16 of west, and so do 1 more", "traffic for such an address ends at the wrong one; give one of the clusters other ranges"}}},
		{"a Service that is refused", healthy("east", func(f *Facts) {
			f.Exports.Hindered = []Hindered{{"shop/cart", "NamespaceMissing", "create it"}}
		}), healthy("west"), []Finding{{"services", Warning, "east", "shop/cart: NamespaceMissing", "create it"}}},
		{"pointers from a third cluster", healthy("east", func(f *Facts) { f.Strays = []Stray{{"uid-of-north", "north", 3}} }), healthy("west"), []Finding{
			{"leftovers", Warning, "east", "has 3 pointers from cluster uid-of-north (north), which is neither side", "is another xcc mirroring from there? If not, delete them: they carry the label fair.com/cross-cluster=follower"}}},
		{"endpoints of which one does not answer", healthy("east", func(f *Facts) {
			f.Dialed = []Dialed{{"10.1.0.1:80", nil}, {"10.1.0.2:80", errors.New("timeout")}}
		}), healthy("west"), []Finding{{"dial", Warning, "east", "10.1.0.2:80 does not answer: timeout", "see routes, security groups and network policies between here and there"}}},
		{"endpoints of which none answers", healthy("east", func(f *Facts) {
			f.Dialed = []Dialed{{"10.1.0.2:80", errors.New("timeout")}}
		}), healthy("west"), []Finding{{"dial", Failure, "east", "10.1.0.2:80 does not answer: timeout", "see routes, security groups and network policies between here and there"}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var got []Finding
			for _, finding := range Judge(test.a, test.b, checkedAt) {
				if finding.Level != Passed {
					got = append(got, finding)
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func rangeOf(text string, kind RangeKind) Range {
	return Range{netip.MustParsePrefix(text), kind}
}

func TestClashes(t *testing.T) {
	at := func(text string, kind RangeKind) Range { return single(netip.MustParseAddr(text), kind) }
	tests := []struct {
		name string
		a, b []Range
		want []string
	}{
		{"ranges beside each other", []Range{rangeOf("10.1.0.0/16", PodRange)}, []Range{rangeOf("10.2.0.0/16", PodRange)}, nil},
		{"ranges of one cluster that overlap", []Range{rangeOf("10.1.0.0/16", PodRange), at("10.1.0.7", NodeAddress)}, nil, nil},
		{"the same Service range in both", []Range{rangeOf("10.96.0.0/12", ServiceRange)}, []Range{rangeOf("10.96.0.0/12", ServiceRange)}, nil},
		{"pods in the other's Service range", []Range{rangeOf("10.96.0.0/12", ServiceRange)}, []Range{rangeOf("10.100.0.0/16", PodRange)},
			[]string{"Service range 10.96.0.0/12 and pod range 10.100.0.0/16"}},
		{"the same node in both", []Range{at("192.168.0.1", NodeAddress)}, []Range{at("192.168.0.1", NodeAddress)},
			[]string{"node 192.168.0.1 and node 192.168.0.1"}},
		{"an exported address among the other's pods, after ranges that end before it",
			[]Range{at("10.1.9.9", ExportedAddress)}, []Range{rangeOf("10.0.0.0/16", PodRange), rangeOf("10.1.0.0/24", PodRange), rangeOf("10.1.0.0/16", PodRange)},
			[]string{"exported address 10.1.9.9 and pod range 10.1.0.0/16"}},
		{"a mapped address", []Range{at("::ffff:10.1.0.1", ExportedAddress)}, []Range{at("10.1.0.1", ExportedAddress)},
			[]string{"exported address 10.1.0.1 and exported address 10.1.0.1"}},
		{"families apart", []Range{rangeOf("::/0", PodRange)}, []Range{rangeOf("10.0.0.0/8", PodRange)}, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var got, turned []string
			for _, c := range clashes(test.a, test.b) {
				got = append(got, c.a.String()+" and "+c.b.String())
			}
			for _, c := range clashes(test.b, test.a) {
				turned = append(turned, c.b.String()+" and "+c.a.String())
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(got, turned); diff != "" {
				t.Errorf("not the same the other way round: %s", diff)
			}
		})
	}
}
