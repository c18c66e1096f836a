package systemd

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	logtest "github.com/sirupsen/logrus/hooks/test"
)

// TestTell: each step is a condition, what it makes xcc say, and what follows.
func TestTell(t *testing.T) {
	// Ticks are a third of the watchdog apart, so each condition is told at once.
	t.Setenv("WATCHDOG_USEC", "3000")
	heard := listen(t)
	log, logged := logtest.NewNullLogger()
	conditions := make(chan Condition)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		Tell(ctx, func() Condition {
			select {
			case condition := <-conditions:
				return condition
			case <-ctx.Done():
				return Condition{Stuck: errors.New("the test is over")}
			}
		}, log)
	}()
	if got := heard(); got != "STATUS=starting" {
		t.Errorf("first it said %q", got)
	}
	stuck := errors.New("no step for an hour")
	for _, step := range []struct {
		name      string
		condition Condition
		says      []string
	}{
		{"not ready yet", Condition{Status: "reading"}, []string{"STATUS=reading", "WATCHDOG=1"}},
		{"ready", Condition{Ready: true, Status: "3 mirrored"}, []string{"READY=1", "STATUS=3 mirrored", "WATCHDOG=1"}},
		{"nothing new", Condition{Ready: true, Status: "3 mirrored"}, []string{"WATCHDOG=1"}},
		{"working again after it stood by", Condition{Status: "reading"}, []string{"STATUS=reading", "WATCHDOG=1"}},
		{"done with that", Condition{Ready: true, Status: "3 mirrored"}, []string{"STATUS=3 mirrored", "WATCHDOG=1"}},
		{"stuck", Condition{Ready: true, Status: "stuck", Stuck: stuck}, []string{"STATUS=stuck"}},
		{"still stuck", Condition{Ready: true, Status: "still stuck", Stuck: stuck}, []string{"STATUS=still stuck"}},
		{"not stuck", Condition{Ready: true, Status: "3 mirrored"}, []string{"STATUS=3 mirrored", "WATCHDOG=1"}},
	} {
		conditions <- step.condition
		var said []string
		for range step.says {
			said = append(said, heard())
		}
		if diff := cmp.Diff(step.says, said); diff != "" {
			t.Fatalf("%s: said (-want +got):\n%s", step.name, diff)
		}
	}
	if count := len(logged.AllEntries()); count != 1 {
		t.Errorf("it logged %d lines about being stuck, not 1", count)
	}
	stop()
	for got := heard(); ; got = heard() {
		if strings.HasPrefix(got, "STOPPING=1") {
			break
		}
		if strings.HasPrefix(got, "WATCHDOG") {
			t.Errorf("it said %q after it was told to stop", got)
		}
	}
	<-done
}

func TestTellNobody(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	log, logged := logtest.NewNullLogger()
	Tell(t.Context(), func() Condition {
		t.Error("asked for a condition that nobody wants to know")
		return Condition{}
	}, log)
	if len(logged.AllEntries()) > 0 {
		t.Errorf("logged %q", logged.LastEntry().Message)
	}
}

// listen takes systemd's place. It gives a function that waits for the next message.
func listen(t *testing.T) func() string {
	t.Helper()
	directory, err := os.MkdirTemp("", "xcc")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(directory) })
	address := &net.UnixAddr{Name: filepath.Join(directory, "notify"), Net: "unixgram"}
	connection, err := net.ListenUnixgram("unixgram", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { connection.Close() })
	t.Setenv("NOTIFY_SOCKET", address.Name)
	message := make([]byte, 4096)
	return func() string {
		length, err := connection.Read(message)
		if err != nil {
			t.Fatal(err)
		}
		return string(message[:length])
	}
}
