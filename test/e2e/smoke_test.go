package e2e

import (
	"context"
	"testing"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"xcc/test/cluster"
)

func TestSmoke(t *testing.T) {
	ctx := t.Context()
	for _, c := range []*cluster.Cluster{east, west} {
		mustBe(t, c.CreateNamespace(ctx, "smoke", nil))
	}
	_, err := east.Clientset().CoreV1().Services("smoke").Create(ctx, exported("smoke", "cart"), metav1.CreateOptions{})
	mustBe(t, err)
	_, err = east.RunPods(ctx, cluster.PodOptions{Namespace: "smoke", Name: "cart", Count: 3, Labels: map[string]string{"app": "cart"}})
	mustBe(t, err)
	d := startDaemon(t, "--log-level", "debug")
	err = cluster.Eventually(ctx, "endpoints", func(ctx context.Context) error {
		e, err := west.Clientset().CoreV1().Endpoints("smoke").Get(ctx, "cart", metav1.GetOptions{})
		if err != nil { return err }
		if len(e.Subsets) == 0 || len(e.Subsets[0].Addresses) != 3 { return fmt.Errorf("%v", e.Subsets) }
		return nil
	})
	t.Log(d.Log())
	mustBe(t, err)
	mustBe(t, east.Clientset().CoreV1().Services("smoke").Delete(ctx, "cart", metav1.DeleteOptions{}))
	err = cluster.Eventually(ctx, "gone", func(ctx context.Context) error {
		_, err := west.Clientset().CoreV1().Services("smoke").Get(ctx, "cart", metav1.GetOptions{})
		if err == nil { return fmt.Errorf("there") }
		return nil
	})
	t.Log(d.Log())
	mustBe(t, err)
}
