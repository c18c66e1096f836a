package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"golang.org/x/sync/errgroup"
)

// bare is the floor at work: a client of each cluster, and nothing else.
type bare struct {
	job
	source, target kubernetes.Interface
	say            func(word string) error
}

// bareJobs are what the floor can do.
func bareJobs() map[string]func(*bare, context.Context) error {
	return map[string]func(*bare, context.Context) error{
		"create":    (*bare).create,
		"delete":    (*bare).delete,
		"list":      (*bare).list,
		"mirror":    (*bare).mirror,
		"endpoints": (*bare).endpoints,
	}
}

// beFloor does the job that stdin tells, and ends when stdin does.
func beFloor(ctx context.Context, stdin io.Reader, stdout io.Writer) error {
	lines := bufio.NewReader(stdin)
	line, err := lines.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("read the job: %w", err)
	}
	b := &bare{say: func(word string) error {
		_, err := fmt.Fprintln(stdout, word)
		return err
	}}
	if err := json.Unmarshal(line, &b.job); err != nil {
		return fmt.Errorf("read the job: %w", err)
	}
	work, known := bareJobs()[b.Do]
	if !known {
		return fmt.Errorf("no such job: %q", b.Do)
	}
	if b.source, err = bareClient(b.Kubeconfig, b.Source); err != nil {
		return err
	}
	if b.target, err = bareClient(b.Kubeconfig, b.Target); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, lines)
		cancel()
	}()
	if err := work(b, ctx); err != nil {
		return err
	}
	<-ctx.Done() // what this process has used can be read as long as it lives
	return nil
}

// bareClient speaks protobuf and knows no throttle.
func bareClient(kubeconfig, name string) (kubernetes.Interface, error) {
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(
		&clientcmd.ClientConfigLoadingRules{ExplicitPath: kubeconfig}, &clientcmd.ConfigOverrides{CurrentContext: name}).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("context %s: %w", name, err)
	}
	config.ContentType = runtime.ContentTypeProtobuf
	config.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	config.QPS = -1
	config.WarningHandler = rest.NoWarnings{}
	return kubernetes.NewForConfig(config)
}

// nth is one of the Services.
func (b *bare) nth(n int) service {
	return (&lab{options: options{Endpoints: b.Endpoints}}).exportedService(n)
}

// create creates all pointers, three objects each.
func (b *bare) create(ctx context.Context) error {
	err := inParallel(ctx, b.Services, func(ctx context.Context, n int) error {
		s := b.nth(n)
		created, err := b.target.CoreV1().Services(s.namespace).Create(ctx, b.pointer(s), metav1.CreateOptions{})
		if err != nil {
			return err
		}
		slice := b.pointerSlice(s, created.UID)
		if _, err := b.target.DiscoveryV1().EndpointSlices(s.namespace).Create(ctx, slice, metav1.CreateOptions{}); err != nil {
			return err
		}
		_, err = b.target.CoreV1().Endpoints(s.namespace).Create(ctx, b.pointerEndpoints(s), metav1.CreateOptions{})
		return err
	})
	if err != nil {
		return err
	}
	return b.say(done)
}

// delete deletes the same objects. The API server deletes the Endpoints with the Service, so they may be gone.
func (b *bare) delete(ctx context.Context) error {
	err := inParallel(ctx, b.Services, func(ctx context.Context, n int) error {
		s, options := b.nth(n), metav1.DeleteOptions{}
		if err := b.target.CoreV1().Services(s.namespace).Delete(ctx, s.name, options); err != nil {
			return err
		}
		return b.target.DiscoveryV1().EndpointSlices(s.namespace).Delete(ctx, b.sliceName(s), options)
	})
	if err != nil {
		return err
	}
	return b.say(done)
}

// list reads what xcc reads when it starts, all at the same time.
func (b *bare) list(ctx context.Context) error {
	exportedOnes := metav1.ListOptions{LabelSelector: labelExport + "=" + exported}
	pointers := metav1.ListOptions{LabelSelector: labelExport + "=" + follower}
	all := metav1.NamespaceAll
	lists := []func(ctx context.Context) error{
		func(ctx context.Context) error {
			_, err := b.source.CoreV1().Services(all).List(ctx, exportedOnes)
			return err
		},
		func(ctx context.Context) error {
			_, err := b.source.DiscoveryV1().EndpointSlices(all).List(ctx, exportedOnes)
			return err
		},
		func(ctx context.Context) error {
			_, err := b.target.CoreV1().Services(all).List(ctx, pointers)
			return err
		},
		func(ctx context.Context) error {
			_, err := b.target.DiscoveryV1().EndpointSlices(all).List(ctx, pointers)
			return err
		},
		func(ctx context.Context) error {
			_, err := b.target.CoreV1().Endpoints(all).List(ctx, pointers)
			return err
		},
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, list := range lists {
		group.Go(func() error { return list(ctx) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return b.say(done)
}

func (b *bare) marked(s service, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace: s.namespace, Name: name,
		Labels:      map[string]string{labelExport: follower},
		Annotations: map[string]string{annotationCluster: string(b.Origin), annotationName: b.Source, annotationUID: string(fakeUID(s.name))},
	}
}

func (b *bare) pointer(s service) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: b.marked(s, s.name),
		Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeClusterIP, SessionAffinity: corev1.ServiceAffinityNone,
			InternalTrafficPolicy: new(corev1.ServiceInternalTrafficPolicyCluster),
			IPFamilies:            []corev1.IPFamily{corev1.IPv4Protocol}, IPFamilyPolicy: new(corev1.IPFamilyPolicySingleStack),
			Ports: []corev1.ServicePort{{Name: "http", Protocol: corev1.ProtocolTCP, Port: 80}},
		},
	}
}

// sliceName is as long as the names that xcc gives.
func (b *bare) sliceName(s service) string {
	sum := sha256.Sum256([]byte(s.name))
	return s.name + "-" + hex.EncodeToString(sum[:8])
}

func (b *bare) pointerSlice(s service, owner types.UID) *discoveryv1.EndpointSlice {
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta: b.marked(s, b.sliceName(s)), AddressType: discoveryv1.AddressTypeIPv4, Ports: s.slice(0, "").Ports,
	}
	slice.Labels[discoveryv1.LabelManagedBy], slice.Labels[discoveryv1.LabelServiceName] = managedByXCC, s.name
	slice.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Service", Name: s.name, UID: owner, Controller: new(true)}}
	for _, endpoint := range s.slice(0, "").Endpoints {
		slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{Addresses: endpoint.Addresses, Conditions: endpoint.Conditions})
	}
	return slice
}

func (b *bare) pointerEndpoints(s service) *corev1.Endpoints {
	endpoints := &corev1.Endpoints{ObjectMeta: b.marked(s, s.name)}
	endpoints.Labels[discoveryv1.LabelSkipMirror] = "true"
	endpoints.Subsets = subsets(s.slice(0, ""))
	return endpoints
}

// subsets are the addresses of a slice in the older form.
func subsets(slice *discoveryv1.EndpointSlice) []corev1.EndpointSubset {
	subset := corev1.EndpointSubset{Ports: []corev1.EndpointPort{{Name: *slice.Ports[0].Name, Port: *slice.Ports[0].Port, Protocol: *slice.Ports[0].Protocol}}}
	for _, endpoint := range slice.Endpoints {
		subset.Addresses = append(subset.Addresses, corev1.EndpointAddress{IP: endpoint.Addresses[0]})
	}
	return []corev1.EndpointSubset{subset}
}
