package command

import (
	"bytes"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

func TestTheJournalGetsJSON(t *testing.T) {
	tests := []struct {
		name, stream string
		flags        []string
		json         bool
	}{
		{"a pipe gets text", "", nil, false},
		{"the journal gets JSON", "8:12345", nil, true},
		{"the flag counts more", "8:12345", []string{"--log-format", "text"}, false},
		{"the flag can ask for JSON", "", []string{"--log-format", "json"}, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv("JOURNAL_STREAM", test.stream)
			var stderr bytes.Buffer
			program := &cli.App{Flags: connectionFlags("info"), Action: func(c *cli.Context) error {
				log, err := logger(c, &stderr)
				if err == nil {
					log.Info("a line")
				}
				return err
			}}
			if err := program.Run(append([]string{"xcc"}, test.flags...)); err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(stderr.String(), "{") != test.json {
				t.Errorf("the line is %q", stderr.String())
			}
		})
	}
}
