package report

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/sirupsen/logrus"
	"k8s.io/apimachinery/pkg/types"

	"xcc/sync"
)

// Cluster is what there is to say of one of the two.
type Cluster interface {
	// Name is its display name, UID its identity; empty before it has answered for the first time.
	Name() string
	UID() types.UID
	// Silence is how long ago it last answered.
	Silence() time.Duration
	// Problem is what keeps it from being read; empty while all is well.
	Problem() string
}

// Server answers about a daemon: metrics, health, and the status page.
type Server struct {
	Version  string
	Clusters [2]Cluster
	Hub      *sync.Hub
	Metrics  *Metrics
	// Debug adds the profiles of package pprof.
	Debug bool
	Log   logrus.FieldLogger

	standby atomic.Bool
}

// StandBy notes whether the daemon waits for another one to end.
func (s *Server) StandBy(waits bool) {
	s.standby.Store(waits)
	s.Metrics.Leads(!waits)
}

// Listen opens the address, so that one that can't be had is known at once.
func Listen(address string) (net.Listener, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("--listen: %w; choose another address, or turn it off with --listen=", err)
	}
	return listener, nil
}

// Serve answers until ctx ends. Then it closes the listener, and gives answers in hand a moment.
func (s *Server) Serve(ctx context.Context, listener net.Listener) {
	server := &http.Server{
		Handler: s.Handler(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: time.Minute, IdleTimeout: time.Minute,
	}
	if s.Debug {
		// A profile takes as long as it is asked to.
		server.WriteTimeout = 0
	}
	closed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(closed)
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if server.Shutdown(grace) != nil {
			server.Close()
		}
	})
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		s.Log.WithError(err).Error("--listen: no more answers")
	}
	if !stop() {
		<-closed
	}
}

// Handler answers all paths.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.Metrics.Registry, promhttp.HandlerOpts{ErrorLog: s.Log}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answer(w, s.unhealthy()) })
	mux.HandleFunc("GET /readyz", s.readyz)
	mux.HandleFunc("GET /{$}", s.page)
	if s.Debug {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
	return mux
}

// unhealthy says what only a restart can mend.
func (s *Server) unhealthy() []string {
	if err := s.Hub.Stuck(); err != nil {
		return []string{err.Error()}
	}
	return nil
}

// unready says what is missing before the daemon does all of its work.
func (s *Server) unready() []string {
	var reasons []string
	for _, mirror := range s.Hub.Mirrors {
		if err := mirror.Waiting(); err != nil {
			reasons = append(reasons, fmt.Sprintf("%s to %s: %s", mirror.Rules.Name, mirror.To, err))
		}
	}
	return reasons
}

func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) {
	if s.standby.Load() {
		writeText(w, http.StatusOK, "ok: standing by, another daemon holds the Lease\n")
		return
	}
	answer(w, s.unready())
}

func answer(w http.ResponseWriter, reasons []string) {
	if len(reasons) > 0 {
		writeText(w, http.StatusServiceUnavailable, strings.Join(reasons, "\n")+"\n")
		return
	}
	writeText(w, http.StatusOK, "ok\n")
}

func writeText(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	// Who has gone away needs no answer.
	_, _ = w.Write([]byte(text))
}
