package clusters

import (
	"slices"
	"strings"
	"testing"
)

func TestLoadErrors(t *testing.T) {
	path := writeKubeconfig(t, map[string]string{"blue": "http://127.0.0.1:1", "green": "http://127.0.0.1:1"})
	tests := []struct {
		name     string
		options  Options
		contains []string
	}{
		{"a file that is not there is named", Options{Kubeconfig: "/nowhere/kubeconfig", Context: "blue", Flag: "--context-a"}, []string{"/nowhere/kubeconfig"}},
		{"an unknown context lists those that there are", Options{Kubeconfig: path, Context: "red", Flag: "--context-a"}, []string{"--context-a", `"red"`, "blue, green"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, _, err := test.options.load()
			if err == nil || slices.ContainsFunc(test.contains, func(part string) bool { return !strings.Contains(err.Error(), part) }) {
				t.Errorf("error %v does not say all of %q", err, test.contains)
			}
		})
	}
}
