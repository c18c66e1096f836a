package cluster_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"xcc/test/cluster"
)

// parentVariable, when set, makes this test binary a program that boots a cluster and waits to be killed.
const parentVariable = "CLUSTER_TEST_PARENT"

// parentMain is that program. It prints the cluster's directory and its processes' ids on one line. It tells whether it
// was asked for.
func parentMain() bool {
	if os.Getenv(parentVariable) == "" {
		return false
	}
	c, err := cluster.Start(context.Background(), cluster.Options{Name: "orphan", Binary: binary})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	line := []string{c.Directory()}
	for _, process := range []*cluster.Process{c.Etcd.Process, c.APIServer.Process, c.ControllerManager} {
		pid, err := process.PID()
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		line = append(line, strconv.Itoa(pid))
	}
	// A process that cannot notice anything has to go away as well.
	if err := c.ControllerManager.Pause(); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(strings.Join(line, " "))
	select {}
}

func TestEverythingGoesAwayWithAKilledParent(t *testing.T) {
	self, err := os.Executable()
	mustBe(t, err)
	parent := exec.Command(self)
	parent.Env = append(os.Environ(), parentVariable+"=1")
	parent.Stderr = os.Stderr
	output, err := parent.StdoutPipe()
	mustBe(t, err)
	mustBe(t, parent.Start())
	line, err := bufio.NewReader(output).ReadString('\n')
	if err != nil {
		t.Errorf("the parent says nothing: %v", err)
	}
	killed := time.Now()
	mustBe(t, parent.Process.Kill())
	if err := parent.Wait(); err == nil {
		t.Error("the parent was not killed")
	}

	fields := strings.Fields(line)
	if len(fields) != 4 {
		t.Fatalf("the parent says %q", line)
	}
	directory, ids := fields[0], fields[1:]
	mustBe(t, cluster.Eventually(t.Context(), "the processes and their directory are gone", func(context.Context) error {
		for _, text := range ids {
			id, err := strconv.Atoi(text)
			if err != nil {
				return err
			}
			if err := syscall.Kill(id, 0); !errors.Is(err, syscall.ESRCH) {
				return fmt.Errorf("process %d exists: %v", id, err)
			}
		}
		if _, err := os.Stat(directory); !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("directory %s exists", directory)
		}
		return nil
	}))
	t.Logf("gone after %s", time.Since(killed).Round(time.Millisecond))
}
