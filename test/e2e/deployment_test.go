package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/restmapper"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"xcc/test/cluster"
)

// TestDeployment: `kubectl apply -k manifests/deployment` would do. No kubelet runs here, so no pod does.
func TestDeployment(t *testing.T) {
	objects := kustomized(t, "../../manifests/deployment")
	namespace := convert[corev1.Namespace](t, objects["Namespace"])
	mustBe(t, west.CreateNamespace(t.Context(), namespace.Name, namespace.Labels))
	t.Cleanup(func() {
		mustBe(t, west.Clientset().CoreV1().Namespaces().Delete(context.Background(), namespace.Name, metav1.DeleteOptions{}))
	})

	t.Run("the API server takes every object, and knows every field of it", func(t *testing.T) {
		for _, kind := range []string{"Namespace", "ConfigMap", "Deployment", "PodDisruptionBudget"} {
			if objects[kind] == nil {
				t.Errorf("there is no %s", kind)
			}
		}
		for _, object := range objects {
			dryApply(t, west, object)
		}
	})

	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "xcc"}, Spec: convert[appsv1.Deployment](t, objects["Deployment"]).Spec.Template.Spec}
	create := func(pod *corev1.Pod) error {
		_, err := west.Clientset().CoreV1().Pods(namespace.Name).Create(t.Context(), pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return err
	}

	t.Run("its pods keep to the restricted standard, which its namespace enforces", func(t *testing.T) {
		mustBe(t, create(pod))
		freer := pod.DeepCopy()
		freer.Spec.SecurityContext.SeccompProfile = nil
		if err := create(freer); err == nil || !strings.Contains(err.Error(), "restricted") {
			t.Errorf("a pod without a seccomp profile: %v", err)
		}
	})

	t.Run("xcc takes its arguments and variables", func(t *testing.T) {
		environment := []string{}
		for name, value := range convert[corev1.ConfigMap](t, objects["ConfigMap"]).Data {
			environment = append(environment, name+"="+value)
		}
		container := pod.Spec.Containers[0]
		for _, variable := range container.Env {
			environment = append(environment, variable.Name+"="+variable.Value)
		}
		// The kubeconfig is not there, and that is found when all flags were read.
		code, log := runXCC(t, environment, container.Args...)
		wantOneLine(t, code, log, "--kubeconfig", "/etc/xcc/kubeconfig")
	})
}

// kustomized are the objects that a kustomization makes, one of each kind.
func kustomized(t *testing.T, directory string) map[string]*unstructured.Unstructured {
	t.Helper()
	made, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), directory)
	mustBe(t, err)
	objects := map[string]*unstructured.Unstructured{}
	for _, resource := range made.Resources() {
		content, err := resource.Map()
		mustBe(t, err)
		objects[resource.GetKind()] = &unstructured.Unstructured{Object: content}
	}
	return objects
}

func convert[T any](t *testing.T, object *unstructured.Unstructured) *T {
	t.Helper()
	typed := new(T)
	mustBe(t, runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(object.Object, typed, true))
	return typed
}

// dryApply applies an object in the API server, which refuses unknown fields and keeps nothing.
func dryApply(t *testing.T, c *cluster.Cluster, object *unstructured.Unstructured) {
	t.Helper()
	groups, err := restmapper.GetAPIGroupResources(c.Clientset().Discovery())
	mustBe(t, err)
	kind := object.GroupVersionKind()
	mapping, err := restmapper.NewDiscoveryRESTMapper(groups).RESTMapping(kind.GroupKind(), kind.Version)
	mustBe(t, err)
	client, err := dynamic.NewForConfig(c.RESTConfig())
	mustBe(t, err)
	content, err := object.MarshalJSON()
	mustBe(t, err)
	_, err = client.Resource(mapping.Resource).Namespace(object.GetNamespace()).Patch(t.Context(), object.GetName(),
		"application/apply-patch+yaml", content,
		metav1.PatchOptions{FieldManager: "test", Force: new(true), FieldValidation: metav1.FieldValidationStrict, DryRun: []string{metav1.DryRunAll}})
	if err != nil {
		t.Error(fmt.Errorf("apply %s %s: %w", kind.Kind, object.GetName(), err))
	}
}
