package report

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"xcc/sync"
)

// collector reads the state of the directions when it is asked for.
type collector struct {
	mirrors []*sync.Mirror
	began   time.Time
}

// Collect adds the state of the directions to the metrics.
func (m *Metrics) Collect(mirrors []*sync.Mirror) {
	for _, mirror := range mirrors {
		// An error that has not happened is a zero, not an absence.
		m.failures.WithLabelValues(mirror.Rules.Name, mirror.To)
		m.propagation.WithLabelValues(mirror.Rules.Name, mirror.To)
	}
	m.Registry.MustRegister(collector{mirrors, time.Now()})
}

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, append([]string{"source", "target"}, labels...), nil)
}

var (
	exportedServices = describe("xcc_exported_services", "Exported Services by verdict: Mirrored, how they are joined, or the reason why not or not yet.", "verdict")
	pointers         = describe("xcc_pointers", "Pointers that stand in the target.")
	staleness        = describe("xcc_source_staleness_seconds", "Time since the source last answered, or since xcc was started if it never has.")
	queueDepth       = describe("xcc_queue_depth", "Names that wait for a worker.", "lane")
	brakeTripped     = describe("xcc_brake_tripped", "1 where the delete brake holds withdrawals.")
	heldServices     = describe("xcc_held_services", "Withdrawals that the delete brake holds.")
)

// verdicts are the values of the label of exportedServices. Each is always there, so that it can be counted from zero.
var verdicts = func() []string {
	all := []string{string(sync.Mirrored)}
	for _, reason := range sync.Reasons {
		all = append(all, string(reason))
	}
	return all
}()

// Describe implements [prometheus.Collector].
func (c collector) Describe(descriptions chan<- *prometheus.Desc) {
	for _, description := range []*prometheus.Desc{exportedServices, pointers, staleness, queueDepth, brakeTripped, heldServices} {
		descriptions <- description
	}
}

// Collect implements [prometheus.Collector].
func (c collector) Collect(metrics chan<- prometheus.Metric) {
	for _, mirror := range c.mirrors {
		gauge := func(description *prometheus.Desc, value float64, labels ...string) {
			metrics <- prometheus.MustNewConstMetric(description, prometheus.GaugeValue, value,
				append([]string{mirror.Rules.Name, mirror.To}, labels...)...)
		}
		counts := countVerdicts(mirror.Verdicts())
		for _, verdict := range verdicts {
			gauge(exportedServices, float64(counts[verdict]), verdict)
		}
		for _, lane := range []sync.Lane{sync.LaneLive, sync.LaneBacklog} {
			gauge(queueDepth, float64(mirror.Depth(lane)), string(lane))
		}
		tripped, held := mirror.Brake.Tripped()
		gauge(brakeTripped, oneIf(tripped))
		gauge(heldServices, float64(held))
		gauge(pointers, float64(mirror.Pointers()))
		gauge(staleness, c.silence(mirror.Heartbeat).Seconds())
	}
}

// silence is how long ago a source last answered. One that was down when the daemon began has been silent since then.
func (c collector) silence(source sync.Heartbeat) time.Duration {
	if source.UID() == "" {
		return time.Since(c.began)
	}
	return source.Silence()
}

// countVerdicts counts exported Services. A name of which only a stranger's pointer is left is none.
func countVerdicts(all map[sync.Key]sync.Verdict) map[string]int {
	counts := map[string]int{}
	for _, verdict := range all {
		switch {
		case verdict.Reason != "":
			counts[string(verdict.Reason)]++
		case verdict.State == sync.Mirrored:
			counts[string(sync.Mirrored)]++
		}
	}
	return counts
}
