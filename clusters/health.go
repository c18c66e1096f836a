package clusters

import (
	"net/http"
	"time"
)

// Problem is what keeps the cluster from being read, as it was last logged; empty while all is well.
func (c *Cluster) Problem() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.problem
}

// RequestObserver is told of each request to a cluster: its verb, which tells a watch from a read, its method, its status
// code, 0 where there was no answer, and the time until the answer began.
type RequestObserver func(cluster, verb, method string, code int, duration time.Duration)

// measured tells of each request that goes through it. client-go's own hooks know only a host, which both clusters may
// have behind one proxy.
type measured struct {
	next    http.RoundTripper
	cluster string
	observe RequestObserver
}

// RoundTrip implements [http.RoundTripper].
func (m measured) RoundTrip(request *http.Request) (*http.Response, error) {
	begin := time.Now()
	response, err := m.next.RoundTrip(request)
	code := 0
	if err == nil {
		code = response.StatusCode
	}
	verb := request.Method
	if request.URL.Query().Get("watch") == "true" {
		verb = "WATCH"
	}
	m.observe(m.cluster, verb, request.Method, code, time.Since(begin))
	return response, err
}
