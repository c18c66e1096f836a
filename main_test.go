package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"xcc/sync/command"
)

// kubeconfig has the contexts blue and green, at whose addresses nobody listens.
const kubeconfig = `apiVersion: v1
kind: Config
clusters:
- {name: c, cluster: {server: "http://127.0.0.1:1"}}
contexts:
- {name: blue, context: {cluster: c, user: u}}
- {name: green, context: {cluster: c, user: u}}
users:
- {name: u, user: {}}
`

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestBadInput: what can't work ends at once with exit code 1 and one line that names the flag.
func TestBadInput(t *testing.T) {
	good := write(t, kubeconfig)
	// With --once, what should have been refused and was not ends with the first connection that fails.
	sides := []string{"--once", "--kubeconfig", good, "--context-a", "blue", "--context-b", "green"}
	three := write(t, strings.Replace(kubeconfig, "users:", "- {name: red, context: {cluster: c, user: u}}\nusers:", 1))
	tests := []struct {
		name      string
		arguments []string
		names     []string
	}{
		{"no context", []string{"--kubeconfig", good}, []string{"--context-a"}},
		{"no context of side B", []string{"--kubeconfig", good, "--context-a", "blue"}, []string{"--context-b"}},
		{"an unknown context of side A", []string{"--kubeconfig", good, "--context-a", "red", "--context-b", "green"}, []string{"--context-a", "red", "blue, green"}},
		{"an unknown context of side B", []string{"--kubeconfig", good, "--context-a", "blue", "--context-b", "red"}, []string{"--context-b", "red"}},
		{"no such kubeconfig", []string{"--kubeconfig", "/nowhere", "--context-a", "blue", "--context-b", "green"}, []string{"--kubeconfig", "/nowhere"}},
		{"no such kubeconfig of side B", append(sides, "--kubeconfig-b", "/nowhere"), []string{"--kubeconfig-b", "/nowhere"}},
		{"a kubeconfig that is none", []string{"--kubeconfig", write(t, "{:"), "--context-a", "blue", "--context-b", "green"}, []string{"--kubeconfig"}},
		{"devmode without a kubeconfig", []string{"--devmode", "--kubeconfig", "/nowhere"}, []string{"--kubeconfig"}},
		{"devmode with three contexts", []string{"--devmode", "--kubeconfig", three}, []string{"--context-a", "--context-b", "blue, green, red"}},
		{"a selector that is none", append(sides, "--selector", "a in"), []string{"--selector"}},
		{"a selector of everything", append(sides, "--selector", ""), []string{"--selector"}},
		{"a direction that is none", append(sides, "--direction", "up"), []string{"--direction", "a-to-b"}},
		{"an endpoints API that is none", append(sides, "--endpoints-api", "all"), []string{"--endpoints-api", "slices"}},
		{"no workers", append(sides, "--workers", "0"), []string{"--workers"}},
		{"workers that are no number", append(sides, "--workers", "many"), []string{"-workers"}},
		{"a CIDR of side A that is none", append(sides, "--allow-cidr-a", "10.0.0.0"), []string{"--allow-cidr-a"}},
		{"a CIDR of side B with bits beyond its length", append(sides, "--allow-cidr-b", "10.0.0.1/16"), []string{"--allow-cidr-b"}},
		{"a percentage over 100", append(sides, "--max-delete-percent", "101"), []string{"--max-delete-percent"}},
		{"a negative percentage", append(sides, "--max-delete-percent", "-1"), []string{"--max-delete-percent"}},
		{"a mass delete without an end", append(sides, "--allow-mass-delete", "--once=false"), []string{"--allow-mass-delete", "--once"}},
		{"a way with the unreachable that is none", append(sides, "--on-unreachable", "panic"), []string{"--on-unreachable"}},
		{"a duration that is none", append(sides, "--stale-after", "soon"), []string{"-stale-after"}},
		{"a negative duration", append(sides, "--on-unreachable", "withdraw", "--stale-after", "-1m"), []string{"--stale-after"}},
		{"a log level that is none", append(sides, "--log-level", "loud"), []string{"--log-level"}},
		{"a log format that is none", append(sides, "--log-format", "xml"), []string{"--log-format"}},
		{"an unknown flag", append(sides, "--nonsense"), []string{"-nonsense"}},
		{"an argument", []string{"sync", "now"}, []string{"now"}},
		{"an argument of link", []string{"link", "now"}, []string{"now"}},
		{"a direction of link that is none", []string{"link", "--print", "--direction", "up"}, []string{"--direction"}},
		{"a side that is none", []string{"link", "--print", "--side", "C"}, []string{"--side", "A", "B"}},
		{"link without contexts", []string{"link", "--kubeconfig", good}, []string{"--context-a"}},
		{"unlink of a side that is none", append([]string{"unlink", "--yes", "--only", "C"}, sides[1:]...), []string{"--only", "A", "B"}},
		{"unlink with nobody to ask", append([]string{"unlink"}, sides[1:]...), []string{"--yes"}},
		{"a format of check that is none", append([]string{"check", "-o", "xml"}, sides[1:]...), []string{"--output", "xml", "yaml"}},
		{"drain of nothing", append([]string{"drain"}, sides[1:]...), []string{"A or B"}},
		{"drain of a side that is none, before the flags", append([]string{"drain", "C"}, sides[1:]...), []string{"A or B"}},
		{"undrain of a side that is none, after the flags", append(append([]string{"undrain"}, sides[1:]...), "C"), []string{"A or B"}},
		{"an address that can't be listened on", append(sides, "--once=false", "--listen", "256.0.0.1:1"), []string{"--listen"}},
		{"two clusters of one name", append(sides, "--name-a", "x", "--name-b", "x"), []string{"--name-a", "--name-b"}},
		{"an output of status that is none", append([]string{"status", "-o", "xml"}, sides[1:]...), []string{"--output", "table"}},
		{"a verdict to fail on that is none", append([]string{"status", "--fail-on", "mirrored"}, sides[1:]...), []string{"--fail-on"}},
		{"a status of something", append([]string{"status"}, append(sides[1:], "now")...), []string{"now"}},
		{"an explanation of nothing", append([]string{"explain"}, sides[1:]...), []string{"NAMESPACE/NAME"}},
		{"an explanation of a name alone", append([]string{"explain"}, append(sides[1:], "cart")...), []string{"NAMESPACE/NAME"}},
		{"a flag of the daemon for a command that reads", append([]string{"status", "--dry-run"}, sides[1:]...), []string{"-dry-run"}},
		{"a cluster that can't be reached by a command that reads", append([]string{"status"}, sides[1:]...), []string{"--context-"}},
		{"an unknown shell", []string{"completion", "tcsh"}, []string{"tcsh", "fish"}},
		{"an unknown command", []string{"destroy"}, []string{"destroy"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			arguments := append([]string{"xcc"}, test.arguments...)
			if code := run(arguments, &stdout, &stderr); code != 1 {
				t.Errorf("exit code %d", code)
			}
			line := stderr.String()
			if strings.Count(line, "\n") != 1 || !strings.HasSuffix(line, "\n") || stdout.Len() > 0 {
				t.Errorf("not one line, but %q and %q", line, stdout.String())
			}
			for _, part := range test.names {
				if !strings.Contains(line, part) {
					t.Errorf("%q does not name %s", line, part)
				}
			}
		})
	}
}

func TestHelpAndVersionSucceed(t *testing.T) {
	for _, flag := range []string{"--help", "-h", "--version", "-v"} {
		var stdout, stderr bytes.Buffer
		if code := run([]string{"xcc", flag}, &stdout, &stderr); code != 0 || stdout.Len() == 0 || stderr.Len() > 0 {
			t.Errorf("%s: exit code %d, %q, %q", flag, code, stdout.String(), stderr.String())
		}
	}
}

func TestHelpFitsAScreen(t *testing.T) {
	lines := strings.Split(strings.TrimSpace(output(t, "--help")), "\n")
	if len(lines) > 24 {
		t.Errorf("%d lines", len(lines))
	}
	for _, line := range lines {
		if len([]rune(line)) > 80 {
			t.Errorf("%d columns: %s", len([]rune(line)), line)
		}
	}
}

// TestManualAndFish: what is made from the definitions names every command and flag that is not hidden.
func TestManualAndFish(t *testing.T) {
	manual, fish := output(t, "man"), output(t, "completion", "fish")
	for _, c := range command.App("", io.Discard, io.Discard).Commands {
		if strings.Contains(manual, ".SH "+c.Name+"\n") == c.Hidden || strings.Contains(fish, "-a '"+c.Name+"'") == c.Hidden {
			t.Errorf("command %s is missing, or not hidden", c.Name)
		}
		for _, flag := range c.Flags {
			name := flag.Names()[0]
			if !strings.Contains(manual, "--"+name) || !strings.Contains(fish, "-l "+name+" ") {
				t.Errorf("--%s is missing", name)
			}
		}
	}
	if strings.Contains(output(t, "--help"), "\n  man ") {
		t.Error("help names a hidden command")
	}
}

// shells complete a line each in its own way. The script prints what the shell offers for what is TYPED.
var shells = map[string]struct {
	withoutRC, script string
	// split cuts what the script prints into words.
	split func(string) []string
}{
	"bash": {"--norc", `source <(xcc completion bash)
		eval "COMP_WORDS=($TYPED)"; COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _xcc; printf '%s\n' "${COMPREPLY[@]}"`, strings.Fields},
	// zsh completes at a terminal only.
	"zsh": {"-f", `zmodload zsh/zpty; zpty shell 'zsh -f -i'
		zpty -w shell 'PS1=; autoload -Uz compinit && compinit -D -u; source <(xcc completion zsh); LISTMAX=10000
			setopt no_list_ambiguous; stty rows 100 cols 150; mark() { print -r -- "THE""END" }; zle -N mark; bindkey "^X" mark; print READ""Y'
		zpty -r shell shown '*READY*'; zpty -w -n shell ${TYPED%"''"}$'\t\x18'; zpty -r shell shown '*THEEND*'; print -r -- "$shown"`,
		func(shown string) []string {
			return strings.Fields(regexp.MustCompile(`THEEND|\x1b\[[0-9;?]*[A-Za-z]`).ReplaceAllString(shown, " "))
		}},
	"fish": {"--no-config", `xcc completion fish | source; complete -C (string replace "''" "" -- $TYPED)`, func(lines string) []string {
		var words []string
		for _, line := range strings.Split(lines, "\n") {
			word, _, _ := strings.Cut(line, "\t")
			words = append(words, word)
		}
		return words
	}},
}

// TestCompletion runs the scripts in the shells that they are for. The program that they ask is that of this test.
func TestCompletion(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	directory := t.TempDir()
	if err := os.Symlink(program, filepath.Join(directory, "xcc")); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, typed string
		has, hasNot []string
	}{
		{"commands", "xcc ''", []string{"sync", "completion"}, []string{"man", "--kubeconfig"}},
		{"the beginning of a command", "xcc sy", []string{"sync"}, []string{"completion"}},
		{"shells", "xcc completion ''", []string{"bash", "zsh", "fish"}, []string{"sync"}},
		{"flags of a command", "xcc sync --conte", []string{"--context-a", "--context-b"}, []string{"--kubeconfig"}},
		{"flags of the default command", "xcc --conte", []string{"--context-a", "--context-b"}, []string{"--kubeconfig"}},
		{"flags after others", "xcc sync --once --dry", []string{"--dry-run"}, []string{"--kubeconfig"}},
		{"nothing after the end of flags", "xcc sync -- ''", nil, []string{"check", "--once"}},
	}
	for name, shell := range shells {
		path, err := exec.LookPath(name)
		for _, test := range tests {
			t.Run(name+" completes "+test.name, func(t *testing.T) {
				if err != nil {
					t.Skip(name + " is missing")
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				command := exec.CommandContext(ctx, path, shell.withoutRC, "-c", shell.script)
				command.Dir = t.TempDir()
				command.Env = []string{"PATH=" + directory + ":" + os.Getenv("PATH"), "HOME=" + command.Dir, "TERM=xterm", "TYPED=" + test.typed}
				found, err := command.CombinedOutput()
				if err != nil {
					t.Fatalf("%v: %s", err, found)
				}
				words := shell.split(string(found))
				for _, word := range test.has {
					if !slices.Contains(words, word) {
						t.Errorf("%s is not in %q", word, words)
					}
				}
				for _, word := range test.hasNot {
					if slices.Contains(words, word) {
						t.Errorf("%s is in %q", word, words)
					}
				}
			})
		}
	}
}

// TestMain lets the program of the tests stand for xcc, where it is called by that name.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "xcc" {
		main()
	}
	os.Exit(m.Run())
}

func output(t *testing.T, arguments ...string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if code := run(append([]string{"xcc"}, arguments...), &stdout, &stderr); code != 0 || stderr.Len() > 0 {
		t.Fatalf("xcc %q: exit code %d, %q", arguments, code, stderr.String())
	}
	return stdout.String()
}

// TestDiffFailsWithTwo: 1 is for differences.
func TestDiffFailsWithTwo(t *testing.T) {
	good := write(t, kubeconfig)
	for name, arguments := range map[string][]string{
		"an unknown flag":                    {"--nonsense"},
		"an argument":                        {"now"},
		"no context":                         {"--kubeconfig", good},
		"a cluster that can't be reached":    {"--kubeconfig", good, "--context-a", "blue", "--context-b", "green"},
		"a flag of another command, such as": {"--watch"},
	} {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			code := run(append([]string{"xcc", "diff"}, arguments...), &stdout, &stderr)
			if code != 2 || strings.Count(stderr.String(), "\n") != 1 || stdout.Len() > 0 {
				t.Errorf("exit code %d, %q and %q", code, stderr.String(), stdout.String())
			}
		})
	}
}
