// Package monitoring checks the alerts and the dashboard with Prometheus's own parser and engine.
//
// It is a module of its own, because Prometheus brings other versions of the Kubernetes libraries than those that the
// clusters of the tests are built of.
package monitoring

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// metrics are xcc's, each with its labels. A histogram has three series, of which _bucket has the label le as well.
var metrics = withHistograms(map[string][]string{
	"xcc_exported_services":        {"source", "target", "verdict"},
	"xcc_pointers":                 {"source", "target"},
	"xcc_writes_total":             {"source", "target", "kind", "operation", "result"},
	"xcc_source_staleness_seconds": {"source", "target"},
	"xcc_queue_depth":              {"source", "target", "lane"},
	"xcc_reconcile_errors_total":   {"source", "target"},
	"xcc_brake_tripped":            {"source", "target"},
	"xcc_held_services":            {"source", "target"},
	"xcc_leader":                   {},
	"xcc_build_info":               {"version", "goversion"},
	"xcc_client_requests_total":    {"cluster", "code", "method"},
}, map[string][]string{
	"xcc_propagation_seconds":             {"source", "target"},
	"xcc_queue_wait_seconds":              {"source", "target", "lane"},
	"xcc_client_request_duration_seconds": {"cluster", "verb"},
})

func withHistograms(all, histograms map[string][]string) map[string][]string {
	for name, names := range histograms {
		all[name+"_bucket"] = append(slices.Clone(names), "le")
		all[name+"_sum"], all[name+"_count"] = names, names
	}
	return all
}

// ofPrometheus are the labels that Prometheus itself gives to every series that it scrapes.
var ofPrometheus = []string{"job", "instance"}

var promQL = parser.NewParser(parser.Options{})

// checkQuery parses a query, and fails where it asks for a metric or a label that xcc does not have.
func checkQuery(t *testing.T, query string) {
	t.Helper()
	expression, err := promQL.ParseExpr(query)
	if err != nil {
		t.Errorf("%s: %v", query, err)
		return
	}
	known := slices.Clone(ofPrometheus)
	parser.Inspect(expression, func(node parser.Node, _ []parser.Node) error {
		if selector, is := node.(*parser.VectorSelector); is {
			names, exists := metrics[selector.Name]
			if !exists {
				t.Errorf("%s: xcc has no metric %q, but %s", query, selector.Name, strings.Join(slices.Sorted(maps.Keys(metrics)), ", "))
			}
			known = append(known, names...)
			for _, matcher := range selector.LabelMatchers {
				if matcher.Name != labels.MetricName && !slices.Contains(names, matcher.Name) {
					t.Errorf("%s: %s has no label %q", query, selector.Name, matcher.Name)
				}
			}
		}
		return nil
	})
	parser.Inspect(expression, func(node parser.Node, _ []parser.Node) error {
		if aggregate, is := node.(*parser.AggregateExpr); is {
			for _, name := range aggregate.Grouping {
				if !slices.Contains(known, name) {
					t.Errorf("%s: groups by %q, which is no label of what it asks for", query, name)
				}
			}
		}
		return nil
	})
}
