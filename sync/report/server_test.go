package report

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/sirupsen/logrus"
	corev1 "k8s.io/api/core/v1"

	"xcc/sync"
)

func newServer(hub *sync.Hub, a, b *fakeCluster) *Server {
	log := logrus.New()
	log.SetOutput(io.Discard)
	metrics := NewMetrics("v1.2.3")
	for _, mirror := range hub.Mirrors {
		mirror.Observer = metrics.Observer(mirror.Rules.Name, mirror.To)
	}
	metrics.Collect(hub.Mirrors)
	return &Server{Version: "v1.2.3", Clusters: [2]Cluster{a, b}, Hub: hub, Metrics: metrics, Log: log}
}

func get(t testing.TB, handler http.Handler, path string) (*http.Response, string) {
	t.Helper()
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, path, nil))
	return recorder.Result(), recorder.Body.String()
}

func TestReadiness(t *testing.T) {
	east, west := newFakeCluster("prod-east"), newFakeCluster("prod-west")
	east.export("shop", "cart", 2)
	hub := newHub(east, west)
	server := newServer(hub, east, west)
	if response, text := get(t, server.Handler(), "/readyz"); response.StatusCode != 503 || !strings.Contains(text, "the first pass: 1 names to go") {
		t.Errorf("before the first pass: %d %q", response.StatusCode, text)
	}
	server.StandBy(true)
	if response, text := get(t, server.Handler(), "/readyz"); response.StatusCode != 200 || !strings.Contains(text, "standing by") {
		t.Errorf("standing by: %d %q", response.StatusCode, text)
	}
	server.StandBy(false)
	synced(t, hub)
	for _, path := range []string{"/readyz", "/healthz"} {
		if response, text := get(t, server.Handler(), path); response.StatusCode != 200 || text != "ok\n" {
			t.Errorf("%s afterwards: %d %q", path, response.StatusCode, text)
		}
	}
}

func TestProfilesAreThereOnlyForDebugging(t *testing.T) {
	east, west := newFakeCluster("prod-east"), newFakeCluster("prod-west")
	server := newServer(newHub(east, west), east, west)
	for _, debug := range []bool{false, true} {
		server.Debug = debug
		if response, _ := get(t, server.Handler(), "/debug/pprof/"); (response.StatusCode == 200) != debug {
			t.Errorf("with debug %v: %d", debug, response.StatusCode)
		}
	}
}

func TestMetrics(t *testing.T) {
	east, west := newFakeCluster("prod-east"), newFakeCluster("prod-west")
	east.export("shop", "cart", 2)
	east.export("lonely", "report", 2)
	hub := newHub(east, west)
	server := newServer(hub, east, west)
	server.StandBy(false)
	synced(t, hub)
	server.Metrics.Request("prod-east", "WATCH", "GET", 200, time.Second)
	server.Metrics.Request("prod-east", "GET", "GET", 0, time.Second)
	hub.Mirrors[0].Observer.Propagated(time.Second)
	hub.Mirrors[0].Observer.Wrote(sync.Change{Operation: sync.Update, Object: &corev1.Service{}}, errors.New("no"))

	t.Run("promlint finds nothing", func(t *testing.T) {
		families, err := server.Metrics.Registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		problems, err := promlint.NewWithMetricFamilies(families).Lint()
		if err != nil || len(problems) > 0 {
			t.Error(problems, err)
		}
	})

	t.Run("the names are those that alerts and dashboards use", func(t *testing.T) {
		families, err := server.Metrics.Registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		got := []string{}
		for _, family := range families {
			if !strings.HasPrefix(family.GetName(), "xcc_") {
				continue
			}
			labels := []string{}
			for _, label := range family.GetMetric()[0].GetLabel() {
				labels = append(labels, label.GetName())
			}
			slices.Sort(labels)
			got = append(got, family.GetName()+" "+strings.Join(labels, ","))
		}
		want := []string{
			"xcc_brake_tripped source,target",
			"xcc_build_info goversion,version",
			"xcc_client_request_duration_seconds cluster,verb",
			"xcc_client_requests_total cluster,code,method",
			"xcc_exported_services source,target,verdict",
			"xcc_held_services source,target",
			"xcc_leader ",
			"xcc_pointers source,target",
			"xcc_propagation_seconds source,target",
			"xcc_queue_depth lane,source,target",
			"xcc_queue_wait_seconds lane,source,target",
			"xcc_reconcile_errors_total source,target",
			"xcc_source_staleness_seconds source,target",
			"xcc_writes_total kind,operation,result,source,target",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("names (-want +got):\n%s", diff)
		}
	})

	t.Run("they count what was done", func(t *testing.T) {
		err := testutil.GatherAndCompare(server.Metrics.Registry, strings.NewReader(`
# HELP xcc_pointers Pointers that stand in the target.
# TYPE xcc_pointers gauge
xcc_pointers{source="prod-east",target="prod-west"} 1
xcc_pointers{source="prod-west",target="prod-east"} 0
# HELP xcc_writes_total Writes in the target, by what became of them.
# TYPE xcc_writes_total counter
xcc_writes_total{kind="EndpointSlice",operation="create",result="success",source="prod-east",target="prod-west"} 1
xcc_writes_total{kind="Endpoints",operation="create",result="success",source="prod-east",target="prod-west"} 1
xcc_writes_total{kind="Service",operation="create",result="success",source="prod-east",target="prod-west"} 1
xcc_writes_total{kind="Service",operation="update",result="error",source="prod-east",target="prod-west"} 1
`), "xcc_pointers", "xcc_writes_total")
		if err != nil {
			t.Error(err)
		}
		_, text := get(t, server.Handler(), "/metrics")
		for _, line := range []string{
			`xcc_exported_services{source="prod-east",target="prod-west",verdict="Mirrored"} 1`,
			`xcc_exported_services{source="prod-east",target="prod-west",verdict="NamespaceMissing"} 1`,
			`xcc_exported_services{source="prod-east",target="prod-west",verdict="Conflict"} 0`,
			`xcc_exported_services{source="prod-east",target="prod-west",verdict="Drained"} 0`,
			`xcc_leader 1`,
			`xcc_client_requests_total{cluster="prod-east",code="<error>",method="GET"} 1`,
		} {
			if !strings.Contains(text, line+"\n") {
				t.Errorf("no %s in:\n%s", line, text)
			}
		}
	})
}

func TestASourceThatWasDownFromTheStartGrowsStale(t *testing.T) {
	east, west := newFakeCluster("prod-east"), newFakeCluster("prod-west")
	east.uid, east.silence = "", 0
	hub := newHub(east, west)
	synctest.Test(t, func(t *testing.T) {
		server := newServer(hub, east, west)
		time.Sleep(3 * time.Minute)
		err := testutil.GatherAndCompare(server.Metrics.Registry, strings.NewReader(`
# HELP xcc_source_staleness_seconds Time since the source last answered, or since xcc was started if it never has.
# TYPE xcc_source_staleness_seconds gauge
xcc_source_staleness_seconds{source="prod-east",target="prod-west"} 180
xcc_source_staleness_seconds{source="prod-west",target="prod-east"} 3
`), "xcc_source_staleness_seconds")
		if err != nil {
			t.Error(err)
		}
	})
}

func TestThePortIsFreeWhenTheServerHasEnded(t *testing.T) {
	east, west := newFakeCluster("prod-east"), newFakeCluster("prod-west")
	server := newServer(newHub(east, west), east, west)
	listener, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		server.Serve(ctx, listener)
		close(ended)
	}()
	if _, err := Listen(address); err == nil || !strings.Contains(err.Error(), "--listen") {
		t.Errorf("a port in use: %v", err)
	}
	response, err := http.Get("http://" + address + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	stop()
	<-ended
	again, err := Listen(address)
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
}
