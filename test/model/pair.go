package model

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"xcc/test/cluster"
	"xcc/test/daemon"
	"xcc/test/invariant"
)

// Side is one of the two clusters.
type Side struct {
	*cluster.Cluster
	Access cluster.Access
	UID    types.UID
	cidrs  []netip.Prefix

	recorder *invariant.Recorder
}

// Pair is two clusters under watch. Runs come one after the other, each in namespaces of its own.
type Pair struct {
	A, B *Side
	// binary has the race detector in it. plain starts three times as fast: the enumeration starts it hundreds of times.
	binary, plain string
	log           io.Writer
}

// Boot starts two clusters and grants xcc what its manifests do, and, for counts that are kept apart from run to run, a
// ConfigMap in any namespace. Close the pair after use.
func Boot(ctx context.Context, log io.Writer) (*Pair, error) {
	controlPlane, err := cluster.Build(ctx, os.Stderr)
	if err != nil {
		return nil, err
	}
	binary, err := cluster.BuildXCC(ctx, true)
	if err != nil {
		return nil, err
	}
	plain, err := cluster.BuildXCC(ctx, false)
	if err != nil {
		return nil, err
	}
	options := func(name string) cluster.Options {
		return cluster.Options{Name: name, Binary: controlPlane, Audit: cluster.AuditRequestResponse}
	}
	east, west, err := cluster.StartPair(ctx, options("prod-east"), options("prod-west"))
	if err != nil {
		return nil, err
	}
	p := &Pair{
		A:      &Side{Cluster: east, cidrs: []netip.Prefix{netip.MustParsePrefix("10.101.0.0/16")}},
		B:      &Side{Cluster: west, cidrs: []netip.Prefix{netip.MustParsePrefix("10.102.0.0/16")}},
		binary: binary, plain: plain, log: log,
	}
	for _, side := range p.sides() {
		if err := side.prepare(ctx); err != nil {
			return nil, errors.Join(err, p.Close(ctx))
		}
	}
	return p, nil
}

func (s *Side) prepare(ctx context.Context) error {
	system, err := s.Clientset().CoreV1().Namespaces().Get(ctx, metav1.NamespaceSystem, metav1.GetOptions{})
	if err != nil {
		return err
	}
	s.UID = system.UID
	if s.Access, err = daemon.Grant(ctx, s.Cluster, daemon.All, nil); err != nil {
		return err
	}
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "xcc-test-counts"}, Rules: []rbacv1.PolicyRule{{
		APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"get", "create", "update"},
	}}}
	if _, err := s.Clientset().RbacV1().ClusterRoles().Create(ctx, role, metav1.CreateOptions{}); err != nil {
		return err
	}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: role.Name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: daemon.Namespace, Name: daemon.ServiceAccount}},
	}
	if _, err := s.Clientset().RbacV1().ClusterRoleBindings().Create(ctx, binding, metav1.CreateOptions{}); err != nil {
		return err
	}
	s.recorder, err = invariant.Record(ctx, s.Cluster)
	return err
}

func (p *Pair) sides() []*Side {
	return []*Side{p.A, p.B}
}

func (p *Pair) other(side *Side) *Side {
	if side == p.A {
		return p.B
	}
	return p.A
}

// Close ends the clusters.
func (p *Pair) Close(ctx context.Context) error {
	var errs []error
	for _, side := range p.sides() {
		if side.recorder != nil {
			errs = append(errs, side.recorder.Stop())
		}
		errs = append(errs, side.Stop(ctx))
	}
	return errors.Join(errs...)
}

// createNamespaces creates them in both clusters.
func (p *Pair) createNamespaces(ctx context.Context, names ...string) error {
	for _, side := range p.sides() {
		for _, name := range names {
			if err := side.CreateNamespace(ctx, name, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// dropNamespaces removes what a run leaves behind, so that the next ones are not slowed down by it. Nobody waits for it.
func (p *Pair) dropNamespaces(ctx context.Context, names ...string) error {
	var errs []error
	for _, side := range p.sides() {
		for _, name := range names {
			errs = append(errs, ignoreAbsent(side.drop(ctx, name)))
		}
	}
	return errors.Join(errs...)
}

// marks are places in both audit logs.
type marks struct{ a, b cluster.AuditMark }

func (p *Pair) mark() (marks, error) {
	a, errA := p.A.AuditMark()
	b, errB := p.B.AuditMark()
	return marks{a, b}, errors.Join(errA, errB)
}

func (p *Pair) requests(since marks) (a, b []invariant.Request, err error) {
	a, errA := invariant.ReadAudit(p.A.Cluster, since.a)
	b, errB := invariant.ReadAudit(p.B.Cluster, since.b)
	return a, b, errors.Join(errA, errB)
}

// world is all that the witnesses have to say since a mark.
func (p *Pair) world(ctx context.Context, since marks) (invariant.World, error) {
	a, b, err := p.requests(since)
	if err != nil {
		return invariant.World{}, err
	}
	sideA, err := p.A.witness(ctx, a)
	if err != nil {
		return invariant.World{}, err
	}
	sideB, err := p.B.witness(ctx, b)
	return invariant.World{A: sideA, B: sideB, MaxDeletePercent: 100}, err
}

func (s *Side) witness(ctx context.Context, requests []invariant.Request) (invariant.Side, error) {
	side := invariant.Side{Name: s.Name, UID: s.UID, ServiceCIDRs: s.cidrs, Requests: requests}
	var err error
	if s.recorder != nil {
		side.History, err = s.recorder.History(ctx, requests)
	}
	return side, err
}

// names is a world without witnesses, to judge what stands.
func (p *Pair) names() invariant.World {
	side := func(s *Side) invariant.Side { return invariant.Side{Name: s.Name, UID: s.UID, ServiceCIDRs: s.cidrs} }
	return invariant.World{A: side(p.A), B: side(p.B)}
}

// look reads both clusters.
func (p *Pair) look(ctx context.Context, namespaces ...string) (a, b invariant.Scene, err error) {
	if a, err = invariant.Look(ctx, p.A.Cluster, namespaces...); err == nil {
		b, err = invariant.Look(ctx, p.B.Cluster, namespaces...)
	}
	return a, b, err
}

// resting gives the condition that what stands in those namespaces is what should, and that none is on its way out. As
// long as what was recorded says otherwise, nothing is read from the clusters, and nothing judged that was judged before.
func (p *Pair) resting(namespaces ...string) func(context.Context) error {
	judged, last := -1, error(nil)
	return func(ctx context.Context) error {
		changes := p.A.recorder.Changes(namespaces...) + p.B.recorder.Changes(namespaces...)
		if changes == judged && last != nil {
			return last
		}
		judged = changes
		if last = p.judgeRest(p.A.recorder.Scene(namespaces...), p.B.recorder.Scene(namespaces...)); last != nil {
			return last
		}
		a, b, err := p.look(ctx, namespaces...)
		if err != nil {
			return err
		}
		return p.judgeRest(a, b)
	}
}

func (p *Pair) judgeRest(a, b invariant.Scene) error {
	for _, scene := range []invariant.Scene{a, b} {
		for _, namespace := range scene.Namespaces {
			if namespace.Status.Phase == corev1.NamespaceTerminating {
				return fmt.Errorf("namespace %s is terminating", namespace.Name)
			}
		}
	}
	return violated(p.names().Rest(a, b))
}

// violated makes an error of violations; nil where there are none.
func violated(violations []invariant.Violation) error {
	if len(violations) == 0 {
		return nil
	}
	var texts []string
	for _, violation := range violations {
		texts = append(texts, violation.String())
	}
	return errors.New(strings.Join(texts, "\n"))
}

// in gives the rule by which only those namespaces count.
func in(names ...string) func(string) bool {
	return func(namespace string) bool {
		for _, name := range names {
			if name == namespace {
				return true
			}
		}
		return false
	}
}

// keepLog writes a text where it outlives the run.
func keepLog(name, text string) string {
	path := filepath.Join(os.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		return err.Error()
	}
	return path
}
