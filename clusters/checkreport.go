package clusters

import (
	"encoding/json"
	"fmt"
	"io"

	sigsyaml "sigs.k8s.io/yaml"
)

// CheckReport is what a check found.
type CheckReport struct {
	Findings []Finding `json:"findings"`
	Passed   int       `json:"passed"`
	Warnings int       `json:"warnings"`
	Failures int       `json:"failures"`
}

// Report counts findings.
func Report(findings []Finding) CheckReport {
	report := CheckReport{Findings: findings}
	for _, finding := range findings {
		switch finding.Level {
		case Passed:
			report.Passed++
		case Warning:
			report.Warnings++
		case Failure:
			report.Failures++
		}
	}
	return report
}

// Formats are those of [CheckReport.Write].
var Formats = []string{"table", "json", "yaml"}

// Write writes the report in one of the formats.
func (r CheckReport) Write(out io.Writer, format string) error {
	switch format {
	case "json":
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		encoder.SetEscapeHTML(false)
		return encoder.Encode(r)
	case "yaml":
		text, err := sigsyaml.Marshal(r)
		if err != nil {
			return err
		}
		_, err = out.Write(text)
		return err
	}
	return r.table(out)
}

var signs = map[Level]string{Passed: "√", Warning: "‼", Failure: "×"}

func (r CheckReport) table(out io.Writer) error {
	category := ""
	for _, finding := range r.Findings {
		if finding.Category != category {
			category = finding.Category
			fmt.Fprintln(out, category)
		}
		text := finding.Text
		if finding.Cluster != "" {
			text = finding.Cluster + " " + text
		}
		fmt.Fprintf(out, "  %s %s\n", signs[finding.Level], text)
		if finding.Hint != "" {
			fmt.Fprintf(out, "      %s\n", finding.Hint)
		}
	}
	_, err := fmt.Fprintf(out, "\n%d passed, %d warnings, %d failures\n", r.Passed, r.Warnings, r.Failures)
	return err
}
