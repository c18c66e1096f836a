package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"xcc/test/cluster"
)

func TestSignals(t *testing.T) {
	for _, signal := range []os.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run("it exits with 0 on "+signal.String()+", also in the middle of its first pass", func(t *testing.T) {
			ways := newWays(t)
			for _, w := range ways {
				for i := range 30 {
					w.create(t, exported(fmt.Sprintf("cart-%d", i)))
				}
			}
			xcc := startDaemon(t, only(ways, "--workers", "1")...)
			mustBe(t, cluster.Eventually(t.Context(), "a first pointer", func(ctx context.Context) error {
				if !strings.Contains(xcc.Log(), "create Service") {
					return errors.New("there is none")
				}
				return nil
			}))
			mustBe(t, xcc.Signal(signal))
			code, err := xcc.Wait(t.Context())
			mustBe(t, err)
			if code != 0 {
				t.Errorf("xcc exited with %d", code)
			}
			wantLogs(t, xcc.Log(), map[string]int{"level=error": 0})

			again := startDaemon(t, only(ways)...)
			for _, w := range ways {
				w.xcc = again
				for i := range 30 {
					w.mirrored(t, fmt.Sprintf("cart-%d", i), []string{})
				}
			}
			terminate(t, again)
			wantLogs(t, again.Log(), map[string]int{"level=error": 0})
		})
	}
}

func TestClusterThatIsDown(t *testing.T) {
	for _, side := range []int{0, 1} {
		c, flag := []*cluster.Cluster{east, west}[side], []string{"--context-a", "--context-b"}[side]
		t.Run("xcc starts while "+c.Name+" is down, and works when that is up", func(t *testing.T) {
			t.Parallel()
			gate := newGate(t, c)
			access := []cluster.Access{eastAccess, westAccess}
			access[side] = access[side].Through(gate.url)
			ways := newWays(t)
			pods := map[types.UID][]corev1.Pod{}
			for _, w := range ways {
				w.create(t, exported("cart"))
				pods[w.origin.cluster] = w.run(t, "cart", 0, 2)
			}
			xcc := startDaemonWith(t, access[0], access[1], only(ways)...)
			mustBe(t, cluster.Eventually(t.Context(), "xcc has tried", func(context.Context) error {
				if !strings.Contains(xcc.Log(), flag) {
					return errors.New(xcc.Log())
				}
				return nil
			}))
			gate.open(t)
			for _, w := range ways {
				w.mirrored(t, "cart", addresses(pods[w.origin.cluster]))
			}
		})
	}
}
