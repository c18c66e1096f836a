package e2e

import (
	"context"
	"errors"
	"io"
	"maps"
	"os/exec"
	"strings"
	"testing"

	"github.com/creack/pty"
	gocmp "github.com/google/go-cmp/cmp"

	"xcc/test/cluster"
)

// atTerminal runs a command as somebody does who sits at a terminal and has typed an answer. It gives the exit code and
// what the terminal shows.
func (p *linkedPair) atTerminal(t *testing.T, answer, command string, arguments ...string) (int, string) {
	t.Helper()
	process := exec.CommandContext(t.Context(), binary, append([]string{
		command, "--kubeconfig", p.admin, "--context-a", "north", "--context-b", "south",
	}, arguments...)...)
	process.Env = []string{}
	terminal, err := pty.Start(process)
	mustBe(t, err)
	defer terminal.Close()
	_, err = io.WriteString(terminal, answer)
	mustBe(t, err)
	// On Linux the end of a terminal is an error.
	shown, _ := io.ReadAll(terminal)
	if err := process.Wait(); err != nil && process.ProcessState == nil {
		t.Fatal(err)
	}
	return process.ProcessState.ExitCode(), string(shown)
}

// within keeps of a dump what is in one cluster.
func within(c *cluster.Cluster, dump map[string]any) map[string]any {
	maps.DeleteFunc(dump, func(name string, _ any) bool { return !strings.HasPrefix(name, c.Name+" ") })
	return dump
}

func TestUnlink(t *testing.T) {
	p := newLinkedPair(t)
	for _, c := range p.clusters() {
		mustBe(t, c.CreateNamespace(t.Context(), "shop", nil))
	}
	for _, w := range []*way{p.way(t, "shop", p.north, p.south), p.way(t, "shop", p.south, p.north)} {
		name := "from-" + w.from.Name
		w.create(t, exported(name))
		settled(t, w.from, w.namespace, name, w.run(t, name, 0, 1))
	}
	// A pointer of a cluster that is neither side. Once the policies are there, nobody can make one.
	mustBe(t, creating(markedService("stray"))(t.Context(), p.south.Clientset(), "shop"))
	before := p.dump(t)
	link := func(t *testing.T) {
		t.Helper()
		p.link(t)
		p.does(t, p.linked, "sync", "--once")
	}
	const stray = "south: pointers of nowhere (cluster nowhere) left alone: 1"

	link(t)
	linked := p.dump(t)
	for name, answer := range map[string]string{"no": "no\n", "nothing": "\n", "the end of the input": "\x04"} {
		t.Run("who answers "+name+" has changed nothing", func(t *testing.T) {
			code, shown := p.atTerminal(t, answer, "unlink")
			for _, part := range []string{"Withdraw them, and xcc's identity from north and south? [y/N]", "not confirmed", stray} {
				if !strings.Contains(shown, part) {
					t.Errorf("no %q in\n%s", part, shown)
				}
			}
			if code != 1 {
				t.Errorf("exit code %d", code)
			}
			wantSame(t, linked, p.dump(t))
		})
	}

	t.Run("who answers yes is rid of it, and pointers of a third cluster are left alone", func(t *testing.T) {
		code, shown := p.atTerminal(t, "yes\n", "unlink")
		if code != 0 || !strings.Contains(shown, stray) {
			t.Errorf("exit code %d:\n%s", code, shown)
		}
		p.eventuallySame(t, before)
	})

	t.Run("one side can be cleaned when the other is gone for good", func(t *testing.T) {
		link(t)
		kept := within(p.north, p.dump(t))
		gone := writeKubeconfig(t, p.south.Admin())
		output := p.does(t, gone, "unlink", "--only", "B", "--yes")
		for _, line := range []string{"south: pointers of north to withdraw: 1", stray, "south: pointers of north withdrawn: 1", "south: namespace xcc removed"} {
			if !strings.Contains(output, line) {
				t.Errorf("no %q in\n%s", line, output)
			}
		}
		mustBe(t, cluster.Eventually(t.Context(), "the south is as it was", func(context.Context) error {
			if diff := gocmp.Diff(within(p.south, maps.Clone(before)), within(p.south, p.dump(t))); diff != "" {
				return errors.New(diff)
			}
			return nil
		}))
		wantSame(t, kept, within(p.north, p.dump(t)))
	})

	t.Run("then the other can, too, should it come back", func(t *testing.T) {
		p.does(t, p.admin, "unlink", "--only", "a", "--yes")
		p.eventuallySame(t, before)
	})
}
