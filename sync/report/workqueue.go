package report

import (
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/client-go/util/workqueue"
)

// workqueues are the metrics that client-go's workqueue keeps of itself, by the name of the queue: that of a direction.
type workqueues struct {
	depth, unfinished, longest *prometheus.GaugeVec
	adds, retries              *prometheus.CounterVec
	latency, work              *prometheus.HistogramVec
}

var _ workqueue.MetricsProvider = &workqueues{}

// Workqueues gives what client-go asks for the metrics of each queue that is made later.
func (m *Metrics) Workqueues() workqueue.MetricsProvider {
	name := []string{"name"}
	gauge := func(metric, help string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "xcc_workqueue_" + metric, Help: help}, name)
	}
	counter := func(metric, help string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "xcc_workqueue_" + metric, Help: help}, name)
	}
	histogram := func(metric, help string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "xcc_workqueue_" + metric, Help: help, Buckets: waitBuckets}, name)
	}
	w := &workqueues{
		depth:      gauge("depth", "Names that wait."),
		unfinished: gauge("unfinished_work_seconds", "Time that the looks at names have taken so far that have not ended yet."),
		longest:    gauge("longest_running_processor_seconds", "Time that the longest of them has taken so far."),
		adds:       counter("adds_total", "Names that were added."),
		retries:    counter("retries_total", "Names that were added again after a failure, or to look again later."),
		latency:    histogram("queue_duration_seconds", "Time that names waited."),
		work:       histogram("work_duration_seconds", "Time that a look at a name took."),
	}
	m.Registry.MustRegister(w.depth, w.unfinished, w.longest, w.adds, w.retries, w.latency, w.work)
	return w
}

// NewDepthMetric implements [workqueue.MetricsProvider], as do the others.
func (w *workqueues) NewDepthMetric(name string) workqueue.GaugeMetric {
	return w.depth.WithLabelValues(name)
}

func (w *workqueues) NewAddsMetric(name string) workqueue.CounterMetric {
	return w.adds.WithLabelValues(name)
}

func (w *workqueues) NewLatencyMetric(name string) workqueue.HistogramMetric {
	return w.latency.WithLabelValues(name)
}

func (w *workqueues) NewWorkDurationMetric(name string) workqueue.HistogramMetric {
	return w.work.WithLabelValues(name)
}

func (w *workqueues) NewUnfinishedWorkSecondsMetric(name string) workqueue.SettableGaugeMetric {
	return w.unfinished.WithLabelValues(name)
}

func (w *workqueues) NewLongestRunningProcessorSecondsMetric(name string) workqueue.SettableGaugeMetric {
	return w.longest.WithLabelValues(name)
}

func (w *workqueues) NewRetriesMetric(name string) workqueue.CounterMetric {
	return w.retries.WithLabelValues(name)
}
