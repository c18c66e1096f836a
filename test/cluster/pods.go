package cluster

import (
	"context"
	"fmt"
	"net/netip"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
)

// defaultNode is where pods run that do not care.
const defaultNode = "node-1"

// PodOptions describe pods that are alike.
type PodOptions struct {
	Namespace string
	// Name is what the pods' names begin with: <Name>-0, <Name>-1 and so on.
	Name string
	// First is the ordinal of the first pod, to add pods to those that are there.
	First int
	// Count is how many pods to run.
	Count  int
	Labels map[string]string
	// Ports are the container's, for a Service that names its target port.
	Ports []corev1.ContainerPort
	// Subdomain gives each pod a hostname, its own name, as a StatefulSet with that governing Service does.
	Subdomain string
	// Node is the Node that they run on; it has to exist. Empty is a Node that RunPods makes.
	Node string
	// FirstIP is the address of the first pod; the others follow it. The zero value takes addresses that no other pod of
	// the cluster was given. Each pod has an address of each IP family of the cluster unless this chooses one.
	FirstIP netip.Addr
	// NotReady pods are running, and fail their readiness probe.
	NotReady bool
}

// AddNode makes a Node that is ready. It is not an error that there is one already.
func (c *Cluster) AddNode(ctx context.Context, name string) error {
	nodes := c.clientset.CoreV1().Nodes()
	node, err := nodes.Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cluster %s: create Node %s: %w", c.Name, name, err)
	}
	for _, address := range c.options.hostAddresses(int(c.lastHost.Add(1))) {
		node.Status.Addresses = append(node.Status.Addresses, corev1.NodeAddress{Type: corev1.NodeInternalIP, Address: address.String()})
	}
	node.Status.Conditions = []corev1.NodeCondition{{
		Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady", LastTransitionTime: metav1.Now(),
	}}
	if _, err := nodes.UpdateStatus(ctx, node, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("cluster %s: status of Node %s: %w", c.Name, name, err)
	}
	return nil
}

// RunPods creates pods and reports them as running, in the order of their ordinals.
func (c *Cluster) RunPods(ctx context.Context, options PodOptions) ([]corev1.Pod, error) {
	if options.Node == "" {
		options.Node = defaultNode
		if err := c.AddNode(ctx, options.Node); err != nil {
			return nil, err
		}
	}
	if err := c.waitServiceAccount(ctx, options.Namespace); err != nil {
		return nil, err
	}
	pods := make([]corev1.Pod, options.Count)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(16)
	for i := range pods {
		name := fmt.Sprintf("%s-%d", options.Name, options.First+i)
		addresses, err := c.podAddresses(options.FirstIP, i)
		if err != nil {
			return nil, fmt.Errorf("cluster %s: run pod %s/%s: %w", c.Name, options.Namespace, name, err)
		}
		group.Go(func() error {
			pod, err := c.runPod(ctx, name, addresses, options)
			if err != nil {
				return fmt.Errorf("cluster %s: run pod %s/%s: %w", c.Name, options.Namespace, name, err)
			}
			pods[i] = *pod
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return pods, nil
}

// podAddresses are the given address plus i, or else new ones.
func (c *Cluster) podAddresses(first netip.Addr, i int) ([]netip.Addr, error) {
	if first.IsValid() {
		return []netip.Addr{addressAfter(first, i)}, nil
	}
	n := int(c.lastPod.Add(1))
	addresses := make([]netip.Addr, len(c.options.PodCIDRs))
	for i, pods := range c.options.PodCIDRs {
		addresses[i] = addressAfter(pods.Addr(), n)
		if !pods.Contains(addresses[i]) {
			return nil, fmt.Errorf("no address is left in %s", pods)
		}
	}
	return addresses, nil
}

// runPod does what a user, the scheduler and a kubelet do.
func (c *Cluster) runPod(ctx context.Context, name string, addresses []netip.Addr, options PodOptions) (*corev1.Pod, error) {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: options.Namespace, Name: name, Labels: options.Labels},
		Spec: corev1.PodSpec{
			NodeName:                     options.Node,
			Containers:                   []corev1.Container{{Name: "app", Image: "registry.k8s.io/pause:3.10", Ports: options.Ports}},
			AutomountServiceAccountToken: new(bool),
		},
	}
	if options.Subdomain != "" {
		pod.Spec.Hostname, pod.Spec.Subdomain = name, options.Subdomain
	}
	pods := c.clientset.CoreV1().Pods(options.Namespace)
	pod, err := pods.Create(ctx, pod, metav1.CreateOptions{})
	if err != nil {
		return nil, err
	}
	now := metav1.Now()
	pod.Status.Phase = corev1.PodRunning
	pod.Status.StartTime = &now
	pod.Status.PodIP = addresses[0].String()
	for _, address := range addresses {
		pod.Status.PodIPs = append(pod.Status.PodIPs, corev1.PodIP{IP: address.String()})
	}
	for _, condition := range []corev1.PodConditionType{corev1.PodScheduled, corev1.PodInitialized, corev1.PodReadyToStartContainers} {
		setPodCondition(&pod.Status, condition, true)
	}
	setPodReady(&pod.Status, !options.NotReady)
	return pods.UpdateStatus(ctx, pod, metav1.UpdateOptions{})
}

// SetReady makes a pod pass or fail its readiness probe.
func (c *Cluster) SetReady(ctx context.Context, namespace, name string, ready bool) error {
	pods := c.clientset.CoreV1().Pods(namespace)
	err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
		pod, err := pods.Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		setPodReady(&pod.Status, ready)
		_, err = pods.UpdateStatus(ctx, pod, metav1.UpdateOptions{})
		return err
	})
	if err != nil {
		return fmt.Errorf("cluster %s: readiness of pod %s/%s: %w", c.Name, namespace, name, err)
	}
	return nil
}

// TerminatePod asks for a pod's deletion. It stays, terminating and as ready as before, until DeletePod.
func (c *Cluster) TerminatePod(ctx context.Context, namespace, name string) error {
	const longerThanAnyTest = 24 * 60 * 60 // seconds
	return c.deletePod(ctx, namespace, name, longerThanAnyTest)
}

// DeletePod deletes a pod at once.
func (c *Cluster) DeletePod(ctx context.Context, namespace, name string) error {
	return c.deletePod(ctx, namespace, name, 0)
}

func (c *Cluster) deletePod(ctx context.Context, namespace, name string, gracePeriodSeconds int64) error {
	options := metav1.DeleteOptions{GracePeriodSeconds: &gracePeriodSeconds}
	if err := c.clientset.CoreV1().Pods(namespace).Delete(ctx, name, options); err != nil {
		return fmt.Errorf("cluster %s: delete pod %s/%s: %w", c.Name, namespace, name, err)
	}
	return nil
}

func setPodReady(status *corev1.PodStatus, ready bool) {
	setPodCondition(status, corev1.ContainersReady, ready)
	setPodCondition(status, corev1.PodReady, ready)
	status.ContainerStatuses = []corev1.ContainerStatus{{
		Name:    "app",
		Image:   "registry.k8s.io/pause:3.10",
		Ready:   ready,
		Started: new(true),
		State:   corev1.ContainerState{Running: &corev1.ContainerStateRunning{}},
	}}
}

// setPodCondition sets one condition of a pod and leaves the others.
func setPodCondition(status *corev1.PodStatus, kind corev1.PodConditionType, holds bool) {
	condition := corev1.PodCondition{Type: kind, Status: corev1.ConditionFalse, LastTransitionTime: metav1.Now()}
	if holds {
		condition.Status = corev1.ConditionTrue
	}
	for i := range status.Conditions {
		if status.Conditions[i].Type == kind {
			status.Conditions[i] = condition
			return
		}
	}
	status.Conditions = append(status.Conditions, condition)
}
