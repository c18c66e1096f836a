package command

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDefaultCommand(t *testing.T) {
	tests := []struct {
		name            string
		arguments, want []string
	}{
		{"nothing", []string{"xcc"}, []string{"xcc", "sync"}},
		{"a flag", []string{"xcc", "--devmode=true"}, []string{"xcc", "sync", "--devmode=true"}},
		{"the command itself", []string{"xcc", "sync", "--once"}, []string{"xcc", "sync", "--once"}},
		{"another command", []string{"xcc", "diff"}, []string{"xcc", "diff"}},
		{"the question for the commands", []string{"xcc", "--generate-bash-completion"}, []string{"xcc", "--generate-bash-completion"}},
		{"help", []string{"xcc", "--help"}, []string{"xcc", "--help"}},
		{"help in short", []string{"xcc", "-h"}, []string{"xcc", "-h"}},
		{"the version", []string{"xcc", "--version"}, []string{"xcc", "--version"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, withDefaultCommand(test.arguments)); diff != "" {
				t.Errorf("arguments (-want +got):\n%s", diff)
			}
		})
	}
}
