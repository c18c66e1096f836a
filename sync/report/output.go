package report

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"
	"sigs.k8s.io/yaml"
)

// Format is how a result is written.
type Format string

// The formats.
const (
	Table Format = "table"
	JSON  Format = "json"
	YAML  Format = "yaml"
)

// Formats are all there are.
var Formats = []Format{Table, JSON, YAML}

// encode writes a value in a format that machines read.
func encode(value any, format Format, out io.Writer) error {
	if format == YAML {
		text, err := yaml.Marshal(value)
		if err != nil {
			return fmt.Errorf("write YAML: %w", err)
		}
		_, err = out.Write(text)
		return err
	}
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}

// age says a duration as kubectl does: 45s, 3m20s, 5d.
func age(length time.Duration) string {
	return duration.HumanDuration(max(0, length))
}
