package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"xcc/test/cluster"
	"xcc/test/daemon"
)

// namespace is where the examples are.
const namespace = "shop"

// stage is all that the demo runs on.
type stage struct {
	printer
	binary     string // xcc
	directory  string // of the kubeconfigs; goes away with the demo
	east, west *side
}

// side is one of the two clusters.
type side struct {
	*cluster.Cluster
	uid    types.UID // of kube-system: the cluster's identity
	window *window
}

// onStage builds and boots all, lets act use it, and takes it down again, however act ends.
func onStage(ctx context.Context, out printer, act func(*stage, context.Context) error) (err error) {
	s := &stage{printer: out}
	binary, err := cluster.Build(ctx, out)
	if err != nil {
		return err
	}
	if s.binary, err = cluster.BuildXCC(ctx, false); err != nil {
		return err
	}
	if s.directory, err = os.MkdirTemp("", "xcc-demo-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(s.directory)) }()

	started := time.Now()
	option := func(name string) cluster.Options {
		return cluster.Options{Name: name, Binary: binary, Audit: cluster.AuditMetadata}
	}
	east, west, err := cluster.StartPair(ctx, option("prod-east"), option("prod-west"))
	if err != nil {
		return err
	}
	s.east, s.west = &side{Cluster: east}, &side{Cluster: west}
	defer func() { err = errors.Join(err, s.stop(ctx)) }()
	for _, side := range s.sides() {
		if err := side.prepare(ctx); err != nil {
			return err
		}
	}
	s.line("two Kubernetes %s clusters on this machine, up after %s", cluster.KubernetesVersion, seconds(time.Since(started)))
	for _, side := range s.sides() {
		s.line("  %-9s  %s  kube-system %s", side.Name, side.APIServer.URL, side.uid)
	}
	if err := s.link(ctx); err != nil {
		return err
	}
	return act(s, ctx)
}

// link gives xcc its identity in both clusters, which takes their administrators' contexts. All else is done with what it
// writes.
func (s *stage) link(ctx context.Context) error {
	if err := cluster.WriteKubeconfig(s.adminKubeconfig(), s.east.Admin(), s.west.Admin()); err != nil {
		return err
	}
	said, err := s.command(ctx, "link", append(s.sideFlags(s.adminKubeconfig()), "--output", s.xccKubeconfig())...)
	if err != nil {
		return err
	}
	s.line("  %-9s  made %d objects: an identity for xcc in both clusters, with its rights and the policies that bind it",
		"xcc link", strings.Count(said, " created\n"))
	return nil
}

func (s *stage) sides() []*side {
	return []*side{s.east, s.west}
}

func (s *stage) other(of *side) *side {
	if of == s.east {
		return s.west
	}
	return s.east
}

func (s *stage) stop(ctx context.Context) error {
	for _, side := range s.sides() {
		if side.window != nil {
			side.window.close()
		}
	}
	ctx = context.WithoutCancel(ctx) // an interrupt is a reason to clean up, not to leave it
	return errors.Join(s.east.Stop(ctx), s.west.Stop(ctx))
}

// prepare makes the namespace of the examples, and begins to watch it.
func (s *side) prepare(ctx context.Context) error {
	system, err := s.Clientset().CoreV1().Namespaces().Get(ctx, metav1.NamespaceSystem, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("cluster %s: %w", s.Name, err)
	}
	s.uid = system.UID
	if err := s.CreateNamespace(ctx, namespace, nil); err != nil {
		return err
	}
	s.window, err = openWindow(ctx, s.Clientset(), namespace)
	return err
}

// xccKubeconfig is that of the identity which xcc link makes, in both clusters.
func (s *stage) xccKubeconfig() string { return filepath.Join(s.directory, "xcc.kubeconfig") }

func (s *stage) adminKubeconfig() string { return filepath.Join(s.directory, "admin.kubeconfig") }

// startXCC runs xcc as on a management host: a process, a kubeconfig, nothing else.
func (s *stage) startXCC(ctx context.Context, log io.Writer) (*daemon.Daemon, error) {
	arguments := append(append([]string{"sync"}, s.sideFlags(s.xccKubeconfig())...), "--listen=")
	xcc, err := daemon.Start(context.WithoutCancel(ctx), daemon.Options{
		Binary: s.binary, Arguments: arguments, Log: log,
		Environment: []string{"HOME=" + s.directory}, // none of the user's own settings
	})
	if err != nil {
		return nil, err
	}
	s.line("  %-9s  sync --context-a %s --context-b %s, as ServiceAccount %s/%s, pid %d",
		"xcc", s.east.Name, s.west.Name, daemon.Namespace, daemon.ServiceAccount, xcc.PID())
	return xcc, nil
}

// stopXCC ends xcc as systemd does, and says how long that took. An exit code other than 0 is an error.
func stopXCC(ctx context.Context, xcc *daemon.Daemon) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	started := time.Now()
	code, err := xcc.Terminate(ctx)
	if err != nil {
		return 0, errors.Join(err, xcc.Kill())
	}
	if code != 0 {
		return 0, fmt.Errorf("xcc exited with %d after SIGTERM", code)
	}
	return time.Since(started), nil
}

// lastLines is the end of a log.
func lastLines(text string, count int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-count):], "\n")
}
