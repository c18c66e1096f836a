package report

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"k8s.io/client-go/util/workqueue"
)

func TestWorkqueueTellsOfItself(t *testing.T) {
	metrics := NewMetrics("v0")
	queue := workqueue.NewTypedWithConfig(workqueue.TypedQueueConfig[string]{Name: "a-to-b", MetricsProvider: metrics.Workqueues()})
	defer queue.ShutDown()
	queue.Add("cart")
	queue.Add("till")
	key, _ := queue.Get()
	queue.Done(key)

	families, err := metrics.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil || len(problems) > 0 {
		t.Error(problems, err)
	}
	got := map[string]float64{}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			if labels := metric.GetLabel(); len(labels) == 1 && labels[0].GetValue() == "a-to-b" {
				got[family.GetName()] = metric.GetGauge().GetValue() + metric.GetCounter().GetValue() + float64(metric.GetHistogram().GetSampleCount())
			}
		}
	}
	want := map[string]float64{
		"xcc_workqueue_adds_total":                        2,
		"xcc_workqueue_depth":                             1,
		"xcc_workqueue_longest_running_processor_seconds": 0,
		"xcc_workqueue_queue_duration_seconds":            1,
		"xcc_workqueue_unfinished_work_seconds":           0,
		"xcc_workqueue_work_duration_seconds":             1,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
