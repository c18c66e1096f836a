package report

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	stdsync "sync"
	"testing"
	"testing/synctest"
	"time"
)

// screen is written by Watch and read by tests.
type screen struct {
	mu   stdsync.Mutex
	text strings.Builder
}

func (s *screen) Write(data []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(data)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// watched runs Watch on a hub with one Service, and does something between two looks. It gives what was written before
// that and after.
func watched(t *testing.T, format Format, terminal bool, between func(east *fakeCluster)) (before, after string) {
	t.Helper()
	east, west := newFakeCluster("prod-east"), newFakeCluster("prod-west")
	east.export("shop", "cart", 2)
	hub := newHub(east, west)
	synced(t, newHub(east, west))
	synctest.Test(t, func(t *testing.T) {
		var out screen
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- Watch(ctx, hub, &out, format, terminal) }()
		synctest.Wait()
		before = out.String()
		between(east)
		time.Sleep(watchInterval)
		synctest.Wait()
		after = strings.TrimPrefix(out.String(), before)
		stop()
		if err := <-ended; err != nil {
			t.Errorf("it ended with %v", err)
		}
	})
	return before, after
}

func TestWatch(t *testing.T) {
	nothing := func(*fakeCluster) {}
	change := func(east *fakeCluster) { east.export("shop", "till", 1) }
	const clear = "\x1b[H\x1b[2J"

	t.Run("it writes the status, and says nothing as long as that is the same", func(t *testing.T) {
		before, after := watched(t, Table, false, nothing)
		if !strings.HasSuffix(before, "1 Service: 1 mirrored\n") || after != "" {
			t.Errorf("%q, then %q", before, after)
		}
	})
	t.Run("it writes it again when it has changed", func(t *testing.T) {
		_, after := watched(t, Table, false, change)
		if !strings.HasSuffix(after, "2 Services: 1 mirrored, 1 pending (1 NotWritten)\n") {
			t.Errorf("%q", after)
		}
	})
	t.Run("on a terminal each one takes the place of the one before, so that ages are right", func(t *testing.T) {
		before, after := watched(t, Table, true, nothing)
		if !strings.HasPrefix(before, clear) || !strings.HasPrefix(after, clear) || strings.Count(before+after, clear) != 2 {
			t.Errorf("%q, then %q", before, after)
		}
	})
	t.Run("as JSON it is a document for each", func(t *testing.T) {
		before, after := watched(t, JSON, false, change)
		decoder := json.NewDecoder(strings.NewReader(before + after))
		var counts []int
		for {
			var status Status
			if err := decoder.Decode(&status); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			counts = append(counts, len(status.Services))
		}
		if len(counts) != 2 || counts[0] != 1 || counts[1] != 2 {
			t.Errorf("documents with %v Services", counts)
		}
	})
}
