package main

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strings"
)

// sideFlags name the clusters to a command of xcc.
func (s *stage) sideFlags(kubeconfig string) []string {
	return []string{"--kubeconfig", kubeconfig, "--context-a", s.east.Name, "--context-b", s.west.Name}
}

// showCommand runs a command of xcc with its own identity, as an operator does, and shows what it says.
func (s *stage) showCommand(ctx context.Context, name string) error {
	s.line("\n  %s", s.paint(faint, "$ xcc "+name))
	said, err := s.command(ctx, name, s.sideFlags(s.xccKubeconfig())...)
	if err != nil {
		return err
	}
	if said == "" {
		said = "(it says nothing: there is nothing to do)\n"
	}
	s.line("  %s", strings.ReplaceAll(strings.TrimRight(said, "\n"), "\n", "\n  "))
	return nil
}

// command runs a command of xcc that is to succeed, and gives what it writes to standard output.
func (s *stage) command(ctx context.Context, name string, arguments ...string) (string, error) {
	var stdout, stderr bytes.Buffer
	process := exec.CommandContext(ctx, s.binary, append([]string{name}, arguments...)...)
	process.Env = []string{"HOME=" + s.directory} // none of the user's own settings
	process.Stdout, process.Stderr = &stdout, &stderr
	if err := process.Run(); err != nil {
		return "", fmt.Errorf("xcc %s: %w\n%s%s", name, err, stdout.String(), stderr.String())
	}
	return stdout.String(), nil
}
