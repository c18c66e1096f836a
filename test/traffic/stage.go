//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"xcc/test/cluster"
	"xcc/test/daemon"
	"xcc/test/network"
)

// size is how much is done in a scenario.
type size struct {
	// rounds is how often it happens.
	rounds int
	// perSecond is how many requests each of the two clients makes.
	perSecond int
	// pods serve at a time. One is replaced in each time of every, and has preStop to end.
	pods           int
	every, preStop time.Duration
	// away is how long an API server is down.
	away time.Duration
	// restart is how long a daemon stays dead that was killed.
	restart time.Duration
	// others is how many other Services come.
	others int
}

// preStop is what users give pods behind a load balancer or a Service: longer than it takes until nobody sends to them.
const preStop = 10 * time.Second

// stage is where a scenario happens: a Service in the east with pods that come and go, a client in each cluster, and xcc, in a
// namespace of their own.
type stage struct {
	*pair
	size      size
	namespace string

	// Those of xcc are its own, so that they can be replaced.
	binary, kubeconfig string
	flags              []string
	daemons            []*daemon.Daemon
	revoke             func(context.Context) error // takes away the credentials that it has; nil before the first rotation

	pods                *turnover
	others              []*network.Pod
	names               int // so many were given
	client, localClient *network.Pod
	target, localTarget string
}

// lastNamespace numbers the namespaces.
var lastNamespace atomic.Int64

// newStage is one that is not set up yet.
func newStage(p *pair, size size, flags ...string) *stage {
	namespace := fmt.Sprintf("shop-%d", lastNamespace.Add(1))
	return &stage{pair: p, size: size, namespace: namespace, flags: append([]string{"--namespace", namespace}, flags...)}
}

// enter makes the namespaces and the clients, and what xcc is started from.
func (s *stage) enter(ctx context.Context) error {
	for _, c := range []*network.Cluster{s.east, s.west} {
		if err := c.CreateNamespace(ctx, s.namespace, nil); err != nil {
			return err
		}
	}
	if err := s.install(); err != nil {
		return err
	}
	clients := cluster.PodOptions{Name: "client", Count: 1}
	west, err := s.run(ctx, s.west, clients)
	if err != nil {
		return err
	}
	east, err := s.run(ctx, s.east, clients)
	if err != nil {
		return err
	}
	s.client, s.localClient = west[0], east[0]
	return nil
}

// setUp returns when both clients get answers.
func (s *stage) setUp(ctx context.Context) (err error) {
	if err := s.enter(ctx); err != nil {
		return err
	}
	if s.pods, err = newTurnover(ctx, s.east, s.namespace, s.size); err != nil {
		return err
	}
	if err := s.create(ctx, s.east, exported(service)); err != nil {
		return err
	}
	if err := s.startXCC(ctx); err != nil {
		return err
	}
	if s.localTarget, err = s.reach(ctx, s.localClient, s.east, service); err != nil {
		return err
	}
	s.target, err = s.reach(ctx, s.client, s.west, service)
	return err
}

// install gives xcc a binary and a kubeconfig of the stage's own, which go with the cluster in the east.
func (s *stage) install() error {
	directory, err := os.MkdirTemp(s.east.Directory(), s.namespace+"-")
	if err != nil {
		return err
	}
	s.binary, s.kubeconfig = filepath.Join(directory, "xcc"), filepath.Join(directory, "kubeconfig")
	if err := s.replaceBinary(); err != nil {
		return err
	}
	content, err := os.ReadFile(s.linked)
	if err != nil {
		return err
	}
	return os.WriteFile(s.kubeconfig, content, 0o600)
}

// run runs pods that end with the stage. They have the name as their label app.
func (s *stage) run(ctx context.Context, c *network.Cluster, options cluster.PodOptions) ([]*network.Pod, error) {
	options.Namespace = s.namespace
	if options.Labels == nil {
		options.Labels = map[string]string{"app": options.Name}
	}
	pods, err := c.RunPods(ctx, options)
	s.others = append(s.others, pods...)
	return pods, err
}

// exported is a Service with the export label, of the pods that have its name as their label app.
func exported(name string) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"fair.com/cross-cluster": "true"}},
		Spec: corev1.ServiceSpec{
			Selector: map[string]string{"app": name},
			Ports:    []corev1.ServicePort{{Name: "http", Port: 80}},
		},
	}
}

func (s *stage) create(ctx context.Context, c *network.Cluster, service *corev1.Service) error {
	_, err := c.Clientset().CoreV1().Services(s.namespace).Create(ctx, service, metav1.CreateOptions{})
	return err
}

// newName is one that nothing has yet in the namespace.
func (s *stage) newName(prefix string) string {
	s.names++
	return fmt.Sprintf("%s%d", prefix, s.names)
}

// reach waits until a client is answered by its cluster's Service of that name, and gives where.
func (s *stage) reach(ctx context.Context, client *network.Pod, c *network.Cluster, name string) (target string, err error) {
	return target, eventually(ctx, name+" answers in "+c.Name, func(ctx context.Context) error {
		service, err := c.Clientset().CoreV1().Services(s.namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		target = at(service.Spec.ClusterIP, "80")
		_, err = client.Get(ctx, target)
		return err
	})
}

// result is what a scenario has cost.
type result struct {
	// through is what was asked through the pointer, and local what the control has asked of the same pods.
	through, local network.Count
	// replaced is how many pods have died meanwhile.
	replaced int
}

func (r result) String() string {
	return fmt.Sprintf("through xcc: %s; a local Service: %s", r.through, r.local)
}

// verdict is an error where more was lost than a local Service loses.
func (r result) verdict() error {
	if r.through.Lost > r.local.Lost {
		return errors.New("more was lost than a local Service loses")
	}
	return nil
}

// play lets something happen while both clients ask and the pods come and go, and goes on until all pods are dead that stood
// when it was over.
func (s *stage) play(ctx context.Context, happens func(context.Context, *stage) error) (result, error) {
	through := s.client.StartLoad(s.target, s.size.perSecond)
	local := s.localClient.StartLoad(s.localTarget, s.size.perSecond)
	turning, stop := context.WithCancel(ctx)
	defer stop()
	var turned sync.WaitGroup
	turned.Go(func() { s.pods.run(turning) })

	err := s.pods.underWay(ctx)
	for range s.size.rounds {
		if err == nil {
			err = happens(ctx, s)
		}
		if err == nil {
			err = s.pods.replaceAll(ctx)
		}
	}
	// The clients first: what ends after them costs them nothing.
	result := result{through: network.Counted(through.Stop()), local: network.Counted(local.Stop())}
	stop()
	turned.Wait()
	result.replaced = s.pods.replaced()
	return result, err
}

// close ends xcc and the pods, and deletes the namespaces. It adds xcc's log to the error that there was before, if any.
func (s *stage) close(ctx context.Context, err error) error {
	if err != nil {
		err = fmt.Errorf("%w\nxcc's log:\n%s", err, s.log())
	}
	errs := []error{err, s.stopXCC(ctx)}
	if s.pods != nil {
		errs = append(errs, s.pods.end(ctx))
	}
	for _, pod := range s.others {
		errs = append(errs, pod.Delete(ctx))
	}
	for _, c := range []*network.Cluster{s.east, s.west} {
		errs = append(errs, c.Clientset().CoreV1().Namespaces().Delete(ctx, s.namespace, metav1.DeleteOptions{}))
	}
	return errors.Join(errs...)
}

// eventually waits for a condition. A machine that is busy with other tests may need long for it.
func eventually(ctx context.Context, what string, condition func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	return cluster.Eventually(ctx, what, condition)
}

// at is a host and a port.
func at(host string, port string) string { return net.JoinHostPort(host, port) }
