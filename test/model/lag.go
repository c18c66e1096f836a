package model

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"xcc/test/cluster"
	"xcc/test/proxy"
)

// laggard is a second API server of a cluster, whose way to etcd can be frozen: it then knows of nothing that came later.
type laggard struct {
	side   *Side
	server *cluster.APIServer
	tunnel *proxy.Tunnel
	client kubernetes.Interface
}

func (p *Pair) newLaggard(ctx context.Context, side *Side) (*laggard, error) {
	tunnel, err := proxy.StartTunnel(strings.TrimPrefix(side.Etcd.URL, "https://"))
	if err != nil {
		return nil, err
	}
	l := &laggard{side: side, tunnel: tunnel}
	if l.server, err = side.AddAPIServer(ctx, cluster.APIServerOptions{EtcdURL: "https://" + tunnel.Address()}); err != nil {
		return nil, errors.Join(err, tunnel.Close())
	}
	l.client, err = kubernetes.NewForConfig(side.Admin().Through(l.server.URL).RESTConfig())
	return l, err
}

func (l *laggard) close() error {
	l.tunnel.Thaw()
	return errors.Join(l.server.Kill(), l.tunnel.Close())
}

// freeze stops the time of the server, when what it answers without asking etcd is what there is now.
func (l *laggard) freeze(ctx context.Context) error {
	now, err := l.side.Clientset().CoreV1().Services(metav1.NamespaceDefault).Create(ctx, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "now-"}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 1}}},
	}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	err = cluster.Eventually(ctx, "the lagging server knows of now", func(ctx context.Context) error {
		_, err := l.client.CoreV1().Services(metav1.NamespaceDefault).Get(ctx, now.Name, metav1.GetOptions{ResourceVersion: "0"})
		return err
	})
	if err != nil {
		return err
	}
	l.tunnel.Freeze()
	return l.side.Clientset().CoreV1().Services(metav1.NamespaceDefault).Delete(ctx, now.Name, metav1.DeleteOptions{})
}

// lagBatch is plans for the calls of one step: they share the moment at which the server's time stops.
type lagBatch struct {
	step  int
	calls []recordedCall
}

func lagBatches(calls []recordedCall, options EnumerateOptions, report *EnumerateReport) []lagBatch {
	var batches []lagBatch
	for i, call := range calls {
		report.Enumerated[lagPlans]++
		if i%options.LagStride != 0 {
			continue
		}
		last := len(batches) - 1
		if last < 0 || batches[last].step != call.step || len(batches[last].calls) == options.AtATime {
			batches, last = append(batches, lagBatch{step: call.step}), last+1
		}
		batches[last].calls = append(batches[last].calls, call)
	}
	return batches
}

// lag runs the plans in which xcc starts again, after a call, against an API server that is as before the step with that
// call. The clusters take turns: each is the source of one direction and the target of the other.
func (p *Pair) lag(ctx context.Context, calls []recordedCall, final string, options EnumerateOptions, report *EnumerateReport) error {
	batches := lagBatches(calls, options, report)
	errs := make([]error, len(p.sides()))
	var group sync.WaitGroup
	for i, side := range p.sides() {
		group.Go(func() {
			l, err := p.newLaggard(ctx, side)
			if err != nil {
				errs[i] = err
				return
			}
			for j, batch := range batches {
				if j%len(errs) == i {
					errs[i] = errors.Join(errs[i], p.runLag(ctx, l, batch, final, report))
				}
			}
			errs[i] = errors.Join(errs[i], l.close())
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

// lagTrial is one plan of a batch.
type lagTrial struct {
	*trial
	plan  plan
	call  recordedCall
	armed *armed
	met   bool
	err   error
}

// runLag runs a batch in lockstep.
func (p *Pair) runLag(ctx context.Context, l *laggard, batch lagBatch, final string, report *EnumerateReport) error {
	var trials []*lagTrial
	for _, call := range batch.calls {
		t, err := p.newTrial(ctx)
		if err != nil {
			return errors.Join(err, closeAll(ctx, trials, report))
		}
		trials = append(trials, &lagTrial{trial: t, call: call, plan: plan{
			kind: lagPlans, text: fmt.Sprintf("after %s, in %q, with %s lagging", call, scenario[call.step].name, l.side.Name),
		}})
	}
	each := func(do func(t *lagTrial) error) {
		var group sync.WaitGroup
		for _, t := range trials {
			group.Go(func() {
				if t.err == nil {
					t.err = do(t)
				}
			})
		}
		group.Wait()
	}
	each(func(t *lagTrial) error {
		t.armed = t.arm(t.call.callID, true, true)
		return errors.Join(t.xcc.start(), t.play(ctx, scenario[:batch.step]))
	})
	frozen := l.freeze(ctx)
	each(func(t *lagTrial) error { return errors.Join(frozen, t.restartBehind(ctx, l)) })
	l.tunnel.Thaw()
	each(func(t *lagTrial) error {
		if err := t.converged(ctx); err != nil {
			return err
		}
		return errors.Join(t.play(ctx, scenario[batch.step+1:]), t.isFinal(ctx, final))
	})
	return closeAll(ctx, trials, report)
}

func closeAll(ctx context.Context, trials []*lagTrial, report *EnumerateReport) error {
	var errs []error
	for _, t := range trials {
		errs = append(errs, report.close(ctx, t.trial, t.plan, t.met, t.err))
	}
	return errors.Join(errs...)
}

// restartBehind plays the step with the call, after which xcc is down, and starts it on the lagging server. It returns
// when xcc has asked that server for something and had an answer, or given up waiting for one.
func (t *lagTrial) restartBehind(ctx context.Context, l *laggard) (err error) {
	if t.met, err = t.playUntil(ctx, scenario[t.call.step], t.armed); err != nil {
		return err
	}
	t.xcc.kill(true)
	way := t.xcc.way(l.side)
	if err := way.Redirect(l.server.URL, l.side.Access.CertificateAuthority, ""); err != nil {
		return err
	}
	way.Forget()
	log := len(t.xcc.log())
	if err := t.xcc.start(); err != nil {
		return err
	}
	return cluster.Eventually(ctx, "xcc has noticed that "+l.side.Name+" lags", func(context.Context) error {
		if text := t.xcc.log(); !strings.Contains(text[min(log, len(text)):], "cluster="+l.side.Name) {
			return fmt.Errorf("it has said nothing; its calls: %v", way.Calls())
		}
		return nil
	})
}

// playUntil plays one step until xcc is killed in it, or until it is over without that.
func (t *trial) playUntil(ctx context.Context, step scenarioStep, armed *armed) (met bool, err error) {
	armed.load()
	if err := t.act(ctx, step, t.namespace); err != nil {
		return armed.unload(), err
	}
	waiting, cancel := context.WithCancel(ctx)
	defer cancel()
	converged := make(chan error, 1)
	go func() { converged <- t.converged(waiting) }()
	select {
	case <-armed.done:
		return true, nil
	case err := <-converged:
		return armed.unload(), err
	}
}
