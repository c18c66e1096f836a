package monitoring

import (
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/promqltest"
)

const alertsFile = "../../manifests/prometheus/alerts.yaml"

func alerts(t *testing.T) map[string]rulefmt.Rule {
	t.Helper()
	groups, errs := rulefmt.ParseFile(alertsFile, false, model.UTF8Validation, promQL, slog.New(slog.DiscardHandler))
	for _, err := range errs {
		t.Error(err)
	}
	if t.Failed() {
		t.FailNow()
	}
	all := map[string]rulefmt.Rule{}
	for _, group := range groups.Groups {
		for _, rule := range group.Rules {
			all[rule.Alert] = rule
		}
	}
	return all
}

func TestAlertsAreWhole(t *testing.T) {
	for name, alert := range alerts(t) {
		checkQuery(t, alert.Expr)
		if severity := alert.Labels["severity"]; severity != "warning" && severity != "critical" {
			t.Errorf("%s has the severity %q", name, severity)
		}
		for _, annotation := range []string{"summary", "description"} {
			if alert.Annotations[annotation] == "" {
				t.Errorf("%s has no %s", name, annotation)
			}
		}
		page, section, _ := strings.Cut(alert.Annotations["runbook_url"], "#")
		if !slices.Contains(sections(t, page), section) {
			t.Errorf("%s leads to %s, which has no section %q", name, page, section)
		}
	}
}

var notInLinks = regexp.MustCompile(`[^a-z0-9 -]`)

// sections are the names by which links lead to the headings of a page.
func sections(t *testing.T, page string) []string {
	t.Helper()
	content, err := os.ReadFile("../../" + page)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for line := range strings.Lines(string(content)) {
		if heading, is := strings.CutPrefix(strings.TrimSpace(line), "## "); is {
			all = append(all, strings.ReplaceAll(notInLinks.ReplaceAllString(strings.ToLower(heading), ""), " ", "-"))
		}
	}
	return all
}

// TestAlertsFire: the metrics of some minutes, and whether an alert would have been sent at the end of them. Each alert
// is shown to fire and to be silent.
func TestAlertsFire(t *testing.T) {
	const way = `source="east",target="west"`
	tests := []struct {
		name    string
		metrics string // a sample each minute
		after   time.Duration
		alert   string
		fires   bool
	}{
		{"no xcc", `other 1x10`, 10 * time.Minute, "XCCDown", true},
		{"one of two daemons is down", `xcc_build_info{instance="a"} 1x2 _x8
			xcc_build_info{instance="b"} 1x10`, 10 * time.Minute, "XCCDown", false},
		{"nobody leads", `xcc_leader{job="xcc",instance="a"} 0x10
			xcc_leader{job="xcc",instance="b"} 0x10`, 10 * time.Minute, "XCCNoLeader", true},
		{"one leads", `xcc_leader{job="xcc",instance="a"} 0x10
			xcc_leader{job="xcc",instance="b"} 1x10`, 10 * time.Minute, "XCCNoLeader", false},
		{"another leads in the middle", `xcc_leader{job="xcc",instance="a"} 1x4 0x6
			xcc_leader{job="xcc",instance="b"} 0x5 1x5`, 10 * time.Minute, "XCCNoLeader", false},
		{"a source goes silent", `xcc_source_staleness_seconds{` + way + `} 0+60x5`, 5 * time.Minute, "XCCSourceStale", true},
		{"a source restarts", `xcc_source_staleness_seconds{` + way + `} 0 60 120 0x2`, 4 * time.Minute, "XCCSourceStale", false},
		{"a source is silent for minutes", `xcc_source_staleness_seconds{` + way + `} 0+60x29`, 29 * time.Minute, "XCCSourceStaleForLong", false},
		{"a source is silent for longer", `xcc_source_staleness_seconds{` + way + `} 0+60x31`, 31 * time.Minute, "XCCSourceStaleForLong", true},
		{"the brake trips", `xcc_brake_tripped{` + way + `} 0x4 1`, 5 * time.Minute, "XCCBrakeTripped", true},
		{"the brake is free", `xcc_brake_tripped{` + way + `} 1x3 0x2`, 5 * time.Minute, "XCCBrakeTripped", false},
		{"held for a while", `xcc_held_services{` + way + `} 0x30 7x30`, time.Hour, "XCCServicesHeld", false},
		{"held for an hour, as one of two daemons knows", `xcc_held_services{instance="a",` + way + `} 7x61
			xcc_held_services{instance="b",` + way + `} 0x61`, 61 * time.Minute, "XCCServicesHeld", true},
		{"a refusal", `xcc_exported_services{verdict="Conflict",` + way + `} 0 1x14`, 15 * time.Minute, "XCCServicesRefused", true},
		{"refusals, not told apart", `xcc_exported_services{verdict="Refused",` + way + `} 0 1x14`, 15 * time.Minute, "XCCServicesRefused", true},
		{"a refusal that clears", `xcc_exported_services{verdict="Conflict",` + way + `} 1x9 0x5`, 15 * time.Minute, "XCCServicesRefused", false},
		{"all are mirrored", `xcc_exported_services{verdict="Mirrored",` + way + `} 9x15`, 15 * time.Minute, "XCCServicesRefused", false},
		{"all are joined", `xcc_exported_services{verdict="FailedOver",` + way + `} 9x15`, 15 * time.Minute, "XCCServicesRefused", false},
		{"a write that fails", `xcc_exported_services{verdict="WriteFailed",` + way + `} 0 1x19`, 20 * time.Minute, "XCCServicesPending", true},
		{"a pod that starts", `xcc_exported_services{verdict="EndpointsUnknown",` + way + `} 0x15 1x5`, 20 * time.Minute, "XCCServicesPending", false},
		{"slow changes", `xcc_propagation_seconds_bucket{le="1",` + way + `} 0x40
			xcc_propagation_seconds_bucket{le="60",` + way + `} 0+5x40
			xcc_propagation_seconds_bucket{le="+Inf",` + way + `} 0+5x40`, 40 * time.Minute, "XCCPropagationSlow", true},
		{"quick changes", `xcc_propagation_seconds_bucket{le="1",` + way + `} 0+5x40
			xcc_propagation_seconds_bucket{le="60",` + way + `} 0+5x40
			xcc_propagation_seconds_bucket{le="+Inf",` + way + `} 0+5x40`, 40 * time.Minute, "XCCPropagationSlow", false},
		{"no changes", `xcc_propagation_seconds_bucket{le="1",` + way + `} 3x40
			xcc_propagation_seconds_bucket{le="+Inf",` + way + `} 5x40`, 40 * time.Minute, "XCCPropagationSlow", false},
		{"failures without an end", `xcc_reconcile_errors_total{` + way + `} 0+12x30`, 30 * time.Minute, "XCCErrors", true},
		{"a failure now and then", `xcc_reconcile_errors_total{` + way + `} 0+1x30`, 30 * time.Minute, "XCCErrors", false},
	}
	all := alerts(t)
	shown := map[string][]bool{}
	for _, test := range tests {
		shown[test.alert] = append(shown[test.alert], test.fires)
		t.Run(test.name, func(t *testing.T) {
			if fires := fires(t, all[test.alert], test.metrics, test.after); fires != test.fires {
				t.Errorf("%s fires: %t, want %t", test.alert, fires, test.fires)
			}
		})
	}
	for name := range all {
		slices.SortFunc(shown[name], func(a, b bool) int { return map[bool]int{true: 1}[a] - map[bool]int{true: 1}[b] })
		if diff := cmp.Diff([]bool{false, true}, slices.Compact(shown[name])); diff != "" {
			t.Errorf("%s is not shown both to fire and to be silent", name)
		}
	}
}

// fires tells whether the alert's condition holds at the end, and has held for as long as the alert asks.
func fires(t *testing.T, alert rulefmt.Rule, metrics string, end time.Duration) bool {
	t.Helper()
	storage := promqltest.LoadedStorage(t, "load 1m\n"+metrics)
	defer storage.Close()
	engine := promqltest.NewTestEngine(t, false, 0, promqltest.DefaultMaxSamplesPerQuery)
	last := time.Unix(0, 0).Add(end)
	const step = time.Minute
	query, err := engine.NewRangeQuery(t.Context(), storage, nil, alert.Expr, last.Add(-time.Duration(alert.For)), last, step)
	if err != nil {
		t.Fatal(err)
	}
	defer query.Close()
	result := query.Exec(t.Context())
	if result.Err != nil {
		t.Fatal(result.Err)
	}
	samples := 1 + int(time.Duration(alert.For)/step)
	matrix, err := result.Matrix()
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(matrix, func(series promql.Series) bool { return len(series.Floats) == samples })
}
