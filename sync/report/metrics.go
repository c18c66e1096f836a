package report

import (
	"runtime"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"xcc/sync"
)

// Metrics are those of the daemon. None has a label whose values grow with the clusters.
type Metrics struct {
	Registry *prometheus.Registry

	writes      *prometheus.CounterVec
	propagation *prometheus.HistogramVec
	waits       *prometheus.HistogramVec
	failures    *prometheus.CounterVec
	requests    *prometheus.CounterVec
	latency     *prometheus.HistogramVec
	leads       atomic.Bool
}

// waitBuckets reach from what nobody notices to what is an incident.
var waitBuckets = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300}

// NewMetrics makes the metrics of a daemon of that version.
func NewMetrics(version string) *Metrics {
	direction := []string{"source", "target"}
	m := &Metrics{
		Registry: prometheus.NewRegistry(),
		writes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "xcc_writes_total", Help: "Writes in the target, by what became of them.",
		}, append(direction, "kind", "operation", "result")),
		propagation: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "xcc_propagation_seconds", Buckets: waitBuckets,
			Help: "Time from a change of pods in the source, as Kubernetes dates it, to the write of the pointer.",
		}, direction),
		waits: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "xcc_queue_wait_seconds", Buckets: waitBuckets, Help: "Time that names waited for a worker.",
		}, append(direction, "lane")),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "xcc_reconcile_errors_total", Help: "Looks at a name that ended with an error and are tried again.",
		}, direction),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "xcc_client_requests_total", Help: "Requests to a cluster, by status code; <error> where there was no answer.",
		}, []string{"cluster", "code", "method"}),
		latency: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "xcc_client_request_duration_seconds", Buckets: waitBuckets, Help: "Time to the answer's head, of requests to a cluster.",
		}, []string{"cluster", "verb"}),
	}
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "xcc_build_info", Help: "Always 1; the labels tell what runs.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()},
	})
	info.Set(1)
	leader := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "xcc_leader", Help: "1 where this daemon does the work, 0 where it stands by.",
	}, func() float64 { return oneIf(m.leads.Load()) })
	m.Registry.MustRegister(m.writes, m.propagation, m.waits, m.failures, m.requests, m.latency, info, leader,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Leads notes whether this daemon does the work.
func (m *Metrics) Leads(leads bool) {
	m.leads.Store(leads)
}

// Request counts a request to a cluster. Code is 0 where there was no answer.
func (m *Metrics) Request(cluster, verb, method string, code int, duration time.Duration) {
	text := "<error>"
	if code != 0 {
		text = strconv.Itoa(code)
	}
	m.requests.WithLabelValues(cluster, text, method).Inc()
	m.latency.WithLabelValues(cluster, verb).Observe(duration.Seconds())
}

// Observer counts what a direction does.
func (m *Metrics) Observer(source, target string) sync.Observer {
	return observer{m, source, target}
}

type observer struct {
	metrics        *Metrics
	source, target string
}

// Wrote implements [sync.Observer].
func (o observer) Wrote(change sync.Change, err error) {
	_, kind := kindOf(change.Object)
	o.metrics.writes.WithLabelValues(o.source, o.target, kind, string(change.Operation), result(err)).Inc()
}

func result(err error) string {
	switch {
	case err == nil:
		return "success"
	case apierrors.IsConflict(err), apierrors.IsAlreadyExists(err):
		return "conflict"
	case apierrors.IsForbidden(err):
		return "forbidden"
	}
	return "error"
}

// Propagated implements [sync.Observer].
func (o observer) Propagated(lag time.Duration) {
	o.metrics.propagation.WithLabelValues(o.source, o.target).Observe(max(0, lag.Seconds()))
}

// Waited implements [sync.Observer].
func (o observer) Waited(lane sync.Lane, wait time.Duration) {
	o.metrics.waits.WithLabelValues(o.source, o.target, string(lane)).Observe(wait.Seconds())
}

// Failed implements [sync.Observer].
func (o observer) Failed() {
	o.metrics.failures.WithLabelValues(o.source, o.target).Inc()
}

func oneIf(condition bool) float64 {
	if condition {
		return 1
	}
	return 0
}
