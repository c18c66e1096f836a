package main

import (
	"io"
	"os"
)

// exitWithParent ends this process when its parent dies, however the parent dies.
//
// A parent that wants this starts the process with a pipe as its standard input and keeps the only write end. The kernel
// closes that end with the parent, also after SIGKILL. With any other standard input nothing happens.
func exitWithParent() {
	if !standardInputIsPipe() {
		return
	}
	go func() {
		waitForParent()
		os.Exit(1)
	}()
}

// waitForParent returns when the write end of the pipe on standard input is closed.
func waitForParent() {
	// Whatever ends the copy, there is no longer a parent to be told from one that is gone.
	_, _ = io.Copy(io.Discard, os.Stdin)
}

func standardInputIsPipe() bool {
	info, err := os.Stdin.Stat()
	return err == nil && info.Mode()&os.ModeNamedPipe != 0
}
