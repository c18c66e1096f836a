package command

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestProgress(t *testing.T) {
	tests := []struct {
		name  string
		takes time.Duration
		want  string
	}{
		{"quick work leaves no trace", 900 * time.Millisecond, ""},
		{"long work is told of at first, then now and then, and in the end no more", 12 * time.Second, "[1 left][2 left][3 left]END"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var out strings.Builder
				asked := 0
				done := progress{time.Second, 5 * time.Second, func(text string) { fmt.Fprintf(&out, "[%s]", text) }, func() { out.WriteString("END") }}.of(func() string {
					asked++
					return fmt.Sprintf("%d left", asked)
				})
				time.Sleep(test.takes)
				done()
				if out.String() != test.want {
					t.Errorf("%q, not %q", out.String(), test.want)
				}
			})
		})
	}
}

func TestProgressIsPlainLinesWithoutATerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		done := progressOn(&out).of(func() string { return "3 left" })
		time.Sleep(25 * time.Second)
		done()
		if want := "3 left\n3 left\n"; out.String() != want {
			t.Errorf("%q, not %q", out.String(), want)
		}
	})
}
