package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// KubernetesVersion is the release that the clusters run. It equals the version of k8s.io/kubernetes in go.mod.
const KubernetesVersion = "v1.36.3"

// Build compiles the control plane into test/bin and returns the path of the binary. The first time this takes minutes,
// and Build says so on log; after that Go's build cache has all of it.
func Build(ctx context.Context, log io.Writer) (string, error) {
	module, err := moduleDirectory()
	if err != nil {
		return "", err
	}
	const version = "k8s.io/component-base/version"
	return build(ctx, target{
		directory: module,
		arguments: []string{
			"-ldflags", strings.Join([]string{
				"-s -w", // no symbols: a third less to link and to load
				"-X " + version + ".gitVersion=" + KubernetesVersion,
				"-X " + version + ".gitMajor=1",
				"-X " + version + ".gitMinor=36",
			}, " "),
			"./controlplane",
		},
		output: filepath.Join(module, "bin", "controlplane"),
		what: "Kubernetes " + KubernetesVersion + ", etcd and CoreDNS from source " +
			"(the first time about 7 minutes on 2 cores, then seconds)",
		log: log,
	})
}

// BuildXCC compiles xcc from the repository's root into test/bin and returns the path of the binary, which has Go's race
// detector in it when race is set.
func BuildXCC(ctx context.Context, race bool) (string, error) {
	module, err := moduleDirectory()
	if err != nil {
		return "", err
	}
	name, arguments := "xcc", []string{"."}
	if race {
		name, arguments = "xcc-race", []string{"-race", "."}
	}
	return build(ctx, target{
		directory: filepath.Dir(module),
		arguments: arguments,
		output:    filepath.Join(module, "bin", name),
		what:      "xcc",
		log:       io.Discard,
	})
}

// target is one binary to build.
type target struct {
	directory string   // of the module
	arguments []string // of go build, the package last
	output    string
	what      string
	log       io.Writer
}

// build runs go build, which does nothing when the output is up to date. Processes that build at the same time take
// turns, so that none of them runs a binary that another is writing.
func build(ctx context.Context, t target) (string, error) {
	if err := os.MkdirAll(filepath.Dir(t.output), 0o755); err != nil {
		return "", fmt.Errorf("build %s: %w", filepath.Base(t.output), err)
	}
	unlock, err := lockFile(t.output + ".lock")
	if err != nil {
		return "", fmt.Errorf("build %s: %w", filepath.Base(t.output), err)
	}
	defer unlock()

	if _, err := os.Stat(t.output); errors.Is(err, fs.ErrNotExist) {
		started := time.Now()
		fmt.Fprintf(t.log, "building %s\n", t.what)
		defer func() { fmt.Fprintf(t.log, "building took %s\n", time.Since(started).Round(time.Second)) }()
	}
	var output strings.Builder
	command := exec.CommandContext(ctx, "go", append([]string{"build", "-o", t.output}, t.arguments...)...)
	command.Dir = t.directory
	command.Env = append(os.Environ(), "GOWORK=off")
	command.Stdout = io.MultiWriter(t.log, &output)
	command.Stderr = command.Stdout
	if err := command.Run(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", filepath.Base(t.output), err, lastLines(output.String(), 20))
	}
	return t.output, nil
}

// moduleDirectory is the directory of the module that this package is in, wherever the caller runs.
func moduleDirectory() (string, error) {
	_, file, _, ok := runtime.Caller(0)
	directory := filepath.Dir(filepath.Dir(file))
	if !ok || !filepath.IsAbs(directory) {
		return "", errors.New("find the module of package cluster: built without source paths (-trimpath)")
	}
	if _, err := os.Stat(filepath.Join(directory, "go.mod")); err != nil {
		return "", fmt.Errorf("find the module of package cluster: %w", err)
	}
	return directory, nil
}

// lockFile takes an exclusive lock that ends with the returned function or with this process.
func lockFile(path string) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := flock(file, syscall.LOCK_EX); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return func() { _ = file.Close() }, nil
}

// flock applies a lock operation to an open file or directory.
func flock(file *os.File, operation int) error {
	for {
		err := syscall.Flock(int(file.Fd()), operation)
		if err == nil {
			return nil
		}
		if !errors.Is(err, syscall.EINTR) {
			return fmt.Errorf("lock %s: %w", file.Name(), err)
		}
	}
}
