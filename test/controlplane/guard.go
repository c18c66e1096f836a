package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// guard removes a cluster's directory once the cluster's parent and all its processes are gone.
//
//	parent ──stdin──► guard, etcd, kube-apiserver, kube-controller-manager     one process group, led by guard
//	                    │         └── each holds a shared lock on the directory from its birth to its death
//	                    └── takes the exclusive lock, which waits for all of theirs, and removes the directory
//
// It is the one path by which a directory goes away, after an orderly stop as after a SIGKILL of the parent.
func guard(arguments []string) int {
	if len(arguments) != 1 || !standardInputIsPipe() {
		fmt.Fprintln(os.Stderr, "usage: controlplane guard DIRECTORY, with a pipe from the parent as standard input")
		return 2
	}
	// Only the parent's end ends the guard. The kernel sends SIGHUP to a process group that is orphaned while one of its
	// processes is stopped, which is the very moment at which the guard is needed.
	signal.Ignore(syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM)
	waitForParent()

	// A stopped process cannot see that its parent died. Process id 0 means this process group.
	if err := syscall.Kill(0, syscall.SIGCONT); err != nil {
		fmt.Fprintln(os.Stderr, "guard: continue the stopped processes:", err)
	}
	if err := removeWhenUnused(arguments[0]); err != nil {
		fmt.Fprintln(os.Stderr, "guard:", err)
		return 1
	}
	return 0
}

// removeWhenUnused removes a directory as soon as no process holds a lock on it.
func removeWhenUnused(path string) error {
	directory, err := os.Open(path)
	if err != nil {
		return err
	}
	defer directory.Close()
	for {
		err := syscall.Flock(int(directory.Fd()), syscall.LOCK_EX)
		if err == nil {
			return os.RemoveAll(path)
		}
		if err != syscall.EINTR {
			return fmt.Errorf("lock %s: %w", path, err)
		}
	}
}
