package e2e

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"xcc/test/cluster"
	"xcc/test/daemon"
)

func TestNotifySystemd(t *testing.T) {
	t.Run("it is ready when its first pass is done, answers the watchdog, and says that it stops", func(t *testing.T) {
		ways := newWays(t)
		for _, w := range ways {
			for i := range 10 {
				w.create(t, exported(fmt.Sprintf("cart-%d", i)))
			}
		}
		gate := newGate(t, west)
		manager := newServiceManager(t)
		xcc := manager.start(t, syncArguments(t, eastAccess, westAccess.Through(gate.url), only(ways)...))
		manager.hears(t, "STATUS=waiting for prod-west to answer", 1)
		manager.hears(t, "WATCHDOG=1", 2)
		if heard := manager.count("READY=1"); heard > 0 {
			t.Error("it was ready while a cluster was down")
		}
		gate.open(t)
		manager.hears(t, "READY=1", 1)
		for _, w := range ways {
			services, err := w.into.Clientset().CoreV1().Services(w.namespace).List(t.Context(), metav1.ListOptions{})
			mustBe(t, err)
			if len(services.Items) != 10 {
				t.Errorf("%d pointers from %s were there when it was ready, not 10", len(services.Items), w.from.Name)
			}
		}
		manager.hears(t, "STATUS=20 mirrored, 0 pending, 0 refused", 1)
		manager.hears(t, "WATCHDOG=1", manager.count("WATCHDOG=1")+3)
		terminate(t, xcc)
		manager.hears(t, "STOPPING=1", 1)
		if count := manager.count("READY=1"); count != 1 {
			t.Errorf("it was ready %d times", count)
		}
	})

	t.Run("one that stands by is ready as well, and answers the watchdog", func(t *testing.T) {
		ways := newWays(t)
		ways[0].create(t, exported("cart"))
		arguments := syncArguments(t, eastAccess, westAccess, only(ways, "--leader-elect")...)
		first, second := newServiceManager(t), newServiceManager(t)
		leader := first.start(t, arguments)
		first.hears(t, "STATUS=1 mirrored, 0 pending, 0 refused", 1)
		second.start(t, arguments)
		second.hears(t, "READY=1", 1)
		second.hears(t, "STATUS=standing by for the Lease", 1)
		second.hears(t, "WATCHDOG=1", 3)
		if second.count("STATUS=1 mirrored, 0 pending, 0 refused") > 0 {
			t.Error("it works while another daemon has the Lease")
		}
		terminate(t, leader)
		second.hears(t, "STATUS=1 mirrored, 0 pending, 0 refused", 1)
	})
}

// serviceManager is the end of a service's notifications that systemd has.
type serviceManager struct {
	socket string
	mu     sync.Mutex
	heard  []string
}

func newServiceManager(t *testing.T) *serviceManager {
	t.Helper()
	// The path of a socket may be 107 bytes long, and a test's own directory has the name of the test in it.
	directory, err := os.MkdirTemp("", "xcc")
	mustBe(t, err)
	t.Cleanup(func() { mustBe(t, os.RemoveAll(directory)) })
	m := &serviceManager{socket: filepath.Join(directory, "notify")}
	connection, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: m.socket, Net: "unixgram"})
	mustBe(t, err)
	t.Cleanup(func() { mustBe(t, connection.Close()) })
	go m.listen(connection)
	return m
}

func (m *serviceManager) listen(connection net.Conn) {
	message := make([]byte, 4096)
	for {
		length, err := connection.Read(message)
		if err != nil {
			return
		}
		m.mu.Lock()
		m.heard = append(m.heard, lines(string(message[:length]))...)
		m.mu.Unlock()
	}
}

// start runs xcc with a watchdog of a second and a half.
func (m *serviceManager) start(t *testing.T, arguments []string) *daemon.Daemon {
	t.Helper()
	return startWith(t, []string{"NOTIFY_SOCKET=" + m.socket, "WATCHDOG_USEC=1500000"}, arguments...)
}

func (m *serviceManager) count(line string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.heard) - len(slices.DeleteFunc(slices.Clone(m.heard), func(heard string) bool { return heard == line }))
}

// hears waits until a line was heard so often.
func (m *serviceManager) hears(t *testing.T, line string, times int) {
	t.Helper()
	mustBe(t, cluster.Eventually(t.Context(), "systemd hears "+line, func(context.Context) error {
		if m.count(line) < times {
			m.mu.Lock()
			defer m.mu.Unlock()
			return fmt.Errorf("it has heard %s", strings.Join(m.heard, ", "))
		}
		return nil
	}))
}
